import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.nifti_cases import only_case

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, CaseRef, PerfusionConfig, read_case
from ctpdeploy.train import LossConfig, TrainConfig, cache
from ctpdeploy.train.cache import CaseCache, default_cache
from ctpdeploy.train.dataset import read_labelled
from ctpdeploy.train.prepared_case import PreparedCase, pack, prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "caches" / "cases"


@pytest.fixture
def own(data: Path, tmp_path: Path) -> Path:
    """A case that a test may change."""
    return Path(shutil.copytree(data / "case_1", tmp_path / "own" / "case_1"))


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, reading a case is an error."""

    def fail(case: CaseRef, _: object = None) -> None:
        raise AssertionError(f"{case.folder} was read")

    return lambda: monkeypatch.setattr(CaseRef, "read", fail)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def assert_same(one: PreparedCase, other: PreparedCase) -> None:
    assert one.identifier == other.identifier
    pairs = [(one.lesion, other.lesion)]
    pairs += [(getattr(one.inputs, name), getattr(other.inputs, name)) for name in ("frames", "features", "dwi")]
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_case_is_prepared_once(data: Path, folder: Path, config: TrainConfig, never_read: Callable[[], None]) -> None:
    fresh = read_labelled(only_case(data / "case_1"), config)
    first = read_labelled(only_case(data / "case_1"), config, CaseCache(folder))
    never_read()
    second = read_labelled(only_case(data / "case_1"), config, CaseCache(folder))
    for case in (first, second):
        assert_same(case, fresh)
        np.testing.assert_array_equal(case.weight, fresh.weight)
    assert [path.suffix for path in entries(folder)] == [".safetensors"]


def test_settings_of_the_loss_need_no_other_entry(
    data: Path, folder: Path, config: TrainConfig, never_read: Callable[[], None]
) -> None:
    read_labelled(only_case(data / "case_1"), config, CaseCache(folder))
    never_read()
    heavy = replace(config, loss=LossConfig(lesion_weight=7.0, decay=3.0))
    case = read_labelled(only_case(data / "case_1"), heavy, CaseCache(folder))
    assert (case.weight[case.lesion] == 7.0).all()


@pytest.mark.parametrize("part", ["CT_4DPWI", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "MR_DWI", "OT"])
def test_change_of_any_file_is_another_case(
    data: Path, own: Path, folder: Path, config: TrainConfig, part: str
) -> None:
    before = CaseCache(folder).read(only_case(own), config.preprocess)
    next(own.glob(f"*.{part}.*")).write_bytes(next((data / "case_2").glob(f"*.{part}.*")).read_bytes())
    after = CaseCache(folder).read(only_case(own), config.preprocess)
    assert_same(after, prepare(read_case(own), config.preprocess))
    assert pack(after) != pack(before)
    assert len(entries(folder)) == 2


def test_other_settings_names_and_versions_are_other_cases(
    own: Path, folder: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    CaseCache(folder).read(only_case(own), config.preprocess)
    CaseCache(folder).read(only_case(own), config.preprocess, PerfusionConfig(threshold=0.1))  # the same, stated
    assert len(entries(folder)) == 1
    CaseCache(folder).read(only_case(own), replace(config.preprocess, flow_percentile=90.0))
    assert len(entries(folder)) == 2
    assert (
        CaseCache(folder).read(only_case(own.rename(own.with_name("case_2"))), config.preprocess).identifier == "case_2"
    )
    assert len(entries(folder)) == 3
    own = own.with_name("case_2")
    file = next(own.glob("*CT_CBF*"))  # names tell in which unit a map is
    file.rename(file.with_name("renamed.CT_CBF.1.nii"))
    CaseCache(folder).read(only_case(own), config.preprocess)
    assert len(entries(folder)) == 4
    monkeypatch.setattr(cache.np, "__version__", "0.0")
    CaseCache(folder).read(only_case(own), config.preprocess)
    assert len(entries(folder)) == 5
    monkeypatch.setattr(cache, "PREPARATION", cache.PREPARATION + 1)
    CaseCache(folder).read(only_case(own), config.preprocess)
    assert len(entries(folder)) == 6


def test_maps_computed_in_another_way_are_another_case(
    phantom_folder: Path, tmp_path: Path, folder: Path, config: TrainConfig
) -> None:
    own = Path(shutil.copytree(phantom_folder / "case_2", tmp_path / "raw" / "case_2"))
    for name in ("CBF", "CBV", "MTT", "Tmax"):
        shutil.rmtree(next(own.glob(f"*CT_{name}*")))
    onset = replace(config, perfusion=PerfusionConfig(tmax="onset"))
    cases = [read_labelled(only_case(own), settings, CaseCache(folder)) for settings in (config, onset)]
    for case, settings in zip(cases, (config, onset), strict=True):
        assert_same(case, prepare(read_case(own, settings.perfusion), config.preprocess))
    assert (cases[0].inputs.features[:, 3] > cases[1].inputs.features[:, 3]).any()
    assert len(entries(folder)) == 2


@pytest.mark.parametrize(
    "damage", ["empty", "half", "one byte short", "one bit", "other name", "no DWI", "no digest", "folder"]
)
def test_damaged_entry_is_made_anew(data: Path, folder: Path, config: TrainConfig, damage: str) -> None:
    CaseCache(folder).read(only_case(data / "case_1"), config.preprocess)
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    contents = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "one byte short": whole[:-1],
        "one bit": whole[:-5000] + bytes([whole[-5000] ^ 1]) + whole[-4999:],
        "other name": whole.replace(b"case_1", b"case_7"),
        "no DWI": whole.replace(b'"dwi"', b'"dwj"'),
    }
    if damage in contents:
        assert contents[damage] != whole
        entry.write_bytes(contents[damage])
    elif damage == "no digest":
        save_file(load_file(entry), entry)
    else:
        entry.unlink()
        entry.mkdir()
    reader = CaseCache(folder)
    assert_same(
        reader.read(only_case(data / "case_1"), config.preprocess),
        prepare(read_case(data / "case_1"), config.preprocess),
    )
    if damage != "folder":  # which is nobody's to remove
        assert entry.read_bytes() == whole
    assert bool(reader.warnings) is (damage == "folder")


def test_folder_that_cannot_be_made_is_one_sentence(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "file").write_text("in the way")
    reader = CaseCache(tmp_path / "file" / "cases")
    for number in (1, 2):
        assert reader.read(only_case(data / f"case_{number}"), config.preprocess).identifier == f"case_{number}"
    (warning,) = reader.warnings
    assert str(tmp_path / "file" / "cases") in warning
    assert "Not a directory" in warning


class StoppedError(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StoppedError()])
def test_nothing_half_written_stays(
    data: Path, folder: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> None:
    write = Path.write_bytes
    tried = []

    def write_half(path: Path, content: bytes) -> int:
        tried.append(path)
        write(path, content[: len(content) // 2])
        raise reason

    reader = CaseCache(folder)
    monkeypatch.setattr(Path, "write_bytes", write_half)
    for number in (1, 2):
        with suppress(StoppedError):
            reader.read(only_case(data / f"case_{number}"), config.preprocess)
    assert entries(folder) == []
    full = isinstance(reason, OSError)
    assert len(tried) == (1 if full else 2)
    assert [("No space left" in warning) for warning in reader.warnings] == [True] * full
    monkeypatch.undo()
    CaseCache(folder).read(only_case(data / "case_1"), config.preprocess)
    assert len(entries(folder)) == 1


def test_writers_do_not_disturb_each_other(data: Path, folder: Path, config: TrainConfig) -> None:
    with ThreadPoolExecutor(4) as pool:
        cases = list(
            pool.map(lambda _: CaseCache(folder).read(only_case(data / "case_1"), config.preprocess), range(8))
        )
    for case in cases:
        assert_same(case, cases[0])
    assert len(entries(folder)) == 1


def test_case_that_changes_while_it_is_read_is_not_kept(own: Path, folder: Path, config: TrainConfig) -> None:
    def read_changed(case: CaseRef) -> Case:
        os.utime(next(own.glob("*OT*")), ns=(1, 1))
        return read_case(case.folder)

    reader = CaseCache(folder)
    assert reader.read(replace(only_case(own), reader=read_changed), config.preprocess).identifier == "case_1"
    assert (entries(folder), reader.warnings) == ([], ())


def test_file_that_cannot_be_read_is_an_input_error(own: Path, folder: Path, config: TrainConfig) -> None:
    file = next(own.glob("*CT_MTT*"))
    file.unlink()
    file.symlink_to(own / "nothing.nii")
    with pytest.raises(InputError, match=r"CT_MTT.*does not exist"):
        CaseCache(folder).read(only_case(own), config.preprocess)


def test_case_without_a_target_is_refused_each_time(
    incomplete_case: Callable[[str], Path], folder: Path, config: TrainConfig
) -> None:
    without_dwi = incomplete_case("MR_DWI")
    for _ in range(2):
        with pytest.raises(InputError, match="has no DWI"):
            read_labelled(only_case(without_dwi), config, CaseCache(folder))
    maps = replace(config, system="slnet")
    assert read_labelled(only_case(without_dwi), maps, CaseCache(folder)).inputs.dwi is None
    assert len(entries(folder)) == 1
    next(without_dwi.glob("*OT*")).unlink()
    with pytest.raises(InputError, match="has no lesion"):
        read_labelled(only_case(without_dwi), maps, CaseCache(folder))
    assert len(entries(folder)) == 1


def test_equal_cases_are_equal_files(data: Path, config: TrainConfig) -> None:
    one, other = (pack(prepare(read_case(data / "case_1"), config.preprocess)) for _ in range(2))
    assert one == other


def test_without_a_place_for_it_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(tmp_path / "named"))
    cache = default_cache()
    assert cache is not None
    assert cache._folder == tmp_path / "named" / "cases"
    monkeypatch.delenv("CTPDEPLOY_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/ctpdeploy"))
    assert default_cache() is None
