"""A seal holds for the very inputs and outputs, and for no others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.seal import InputState, digests_of, require_whole, seal, seal_holds


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "in" / "slices").mkdir(parents=True)
    (tmp_path / "in" / "tmax.nii").write_bytes(b"tmax")
    for number in "12":
        (tmp_path / "in" / "slices" / number).write_bytes(number.encode())
    return {"ctp": tmp_path / "in" / "slices", "tmax": tmp_path / "in" / "tmax.nii"}


@pytest.fixture
def result(tmp_path: Path, files: dict[str, Path]) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("overview.png", "report.json"):
        (folder / name).write_text(name)
    seal(folder, digests_of(files))
    return folder


def test_it_holds_wherever_the_same_files_lie(result: Path, files: dict[str, Path], tmp_path: Path):
    assert seal_holds(result, files)
    (result / ".DS_Store").touch()
    (result / "notes.txt").touch()
    (result / "receipt.json").touch()
    (tmp_path / "in").rename(tmp_path / "moved")
    assert seal_holds(result, {part: tmp_path / "moved" / path.name for part, path in files.items()})


CHANGES: dict[str, Callable[[Path], object]] = {
    "an input": lambda folder: (folder / "in" / "tmax.nii").write_bytes(b"tmay"),
    "a file in an input": lambda folder: (folder / "in" / "slices" / "1").write_bytes(b"3"),
    "a name in an input": lambda folder: (folder / "in" / "slices" / "1").rename(folder / "in" / "slices" / "3"),
    "an output": lambda folder: (folder / "out" / "overview.png").write_text("changed"),
    "a missing output": lambda folder: (folder / "out" / "overview.png").unlink(),
    "a new output": lambda folder: (folder / "out" / "sub-1_desc-lesion_mask.nii.gz").touch(),
    "the seal": lambda folder: (folder / "out" / "digests.json").write_text("[]"),
    "no seal": lambda folder: (folder / "out" / "digests.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_broken_by(result: Path, files: dict[str, Path], tmp_path: Path, change: str):
    CHANGES[change](tmp_path)
    assert not seal_holds(result, files)
    if "input" in change:
        assert set(require_whole(result)) == {"overview.png", "report.json"}
    else:
        with pytest.raises(InputError, match=r"has no seal|does not match its seal"):
            require_whole(result)


def test_it_is_broken_by_a_part_more_or_less_or_exchanged(result: Path, files: dict[str, Path]):
    assert not seal_holds(result, {"ctp": files["ctp"]})
    assert not seal_holds(result, files | {"dwi": files["tmax"]})
    assert not seal_holds(result, {"ctp": files["tmax"], "tmax": files["ctp"]})


@pytest.mark.parametrize("change", ["an input", "a file in an input", "a name in an input", "a missing input"])
def test_files_that_change_while_they_are_read_are_noticed(files: dict[str, Path], tmp_path: Path, change: str):
    changes = CHANGES | {"a missing input": lambda folder: (folder / "in" / "tmax.nii").unlink()}
    state = InputState(files)
    state.require_same()
    changes[change](tmp_path)
    with pytest.raises(InputError, match="changed while they were read"):
        state.require_same()
