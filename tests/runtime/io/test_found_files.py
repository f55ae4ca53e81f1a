"""A case is read of the files that it was found by, or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.dicom_images import head_series, write_scan

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import find_cases
from ctpdeploy.runtime.io.found_files import FoundFiles, marks_of


def first(folder: Path) -> Path:
    return min(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def rewritten(folder: Path) -> None:
    """Another patient's, of the same size and name."""
    content = first(folder).read_bytes()
    first(folder).write_bytes(content[:-2] + bytes(2))
    os.utime(first(folder), (1, 1))


def exchanged(folder: Path) -> None:
    """As by a tool that keeps dates."""
    shutil.copy2(first(folder), folder.parent / "other")
    (folder.parent / "other").replace(first(folder))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file comes": lambda folder: shutil.copy(first(folder), folder / "later"),
    "a folder comes": lambda folder: shutil.copytree(folder / "deep", folder / "deeper"),
    "a file goes": lambda folder: first(folder).unlink(),
    "a file grows": lambda folder: first(folder).write_bytes(first(folder).read_bytes() + b"x"),
    "a file is written again": rewritten,
    "a file is another": exchanged,
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_scan(tmp_path / "in" / "study", head_series(frames=12, slices=2))
    write_scan(tmp_path / "in" / "study" / "deep", head_series(frames=1, slices=1), series="plain")
    return tmp_path / "in" / "study"


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_between_search_and_pixels_is_refused(study: Path, change: str):
    marks = marks_of(path for path in study.rglob("*") if path.is_file())
    found = FoundFiles(place=study, marks=marks, study="", series=())
    found.require_same()
    (study / ".DS_Store").touch()
    (study / ".hidden").mkdir()
    (study / ".hidden" / "x").touch()
    found.require_same()
    CHANGES[change](study)
    with pytest.raises(InputError, match="have changed since it was searched: run it again when all are there"):
        found.require_same()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_pipes_and_links_to_nothing_are_no_files(study: Path):
    os.mkfifo(study / "pipe")
    (study / "link").symlink_to(study / "gone")
    (case,) = find_cases(study)
    assert case.found
    assert {path.name for path in case.found.marks}.isdisjoint(("pipe", "link"))
    case.found.require_same()
    (study / "gone").touch()
    with pytest.raises(InputError, match="have changed"):
        case.found.require_same()


def test_a_link_to_a_folder_is_no_change(tmp_path: Path, study: Path):
    write_scan(tmp_path / "elsewhere", head_series(frames=1, slices=1), series="linked")
    (study / "linked").symlink_to(tmp_path / "elsewhere")
    (case,) = find_cases(study)
    assert case.found
    assert sum("linked" in str(path) for path in case.found.marks) == 1
    case.found.require_same()


def test_uids_are_told_by_digests_alone(tmp_path: Path):
    one, other = (FoundFiles(place=tmp_path, marks={}, study="1.2", series=series) for series in (("1",), ("1", "2")))
    assert one.digests["study"] == other.digests["study"]
    assert one.digests["series"] != other.digests["series"]
    assert "1.2" not in repr(one)
