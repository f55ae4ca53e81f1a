"""The benchmark of reading: its readers agree on a small study, and one that reads something else is noticed."""

from pathlib import Path

import dicom_speed
import pytest

from ctpdeploy.errors import GuardError


def test_readers_of_a_small_study_take_turns(tmp_path: Path):
    dicom_speed.write_series(tmp_path / "study", 12, 3, 32)
    found = dicom_speed.measure(tmp_path / "study", 12 * 3 * 32**2 * 2, rounds=1)
    ours = found["readers"].pop(dicom_speed.OURS)
    assert ours["core_s"]["p50"] > 0
    assert all(one["times_ctpdeploy_core_s"]["count"] == 1 for one in found["readers"].values())
    assert {dicom_speed.PYDICOM, dicom_speed.BYTES} <= set(found["readers"])
    assert (dicom_speed.DCM2NIIX in found["readers"]) != (dicom_speed.DCM2NIIX in found["not_timed"])


def test_readers_that_differ_are_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sums = iter(range(9))
    monkeypatch.setattr(dicom_speed, "turn", lambda *_: {"wall_s": 1.0, "core_s": 1.0, "sum_hu": next(sums)})
    with pytest.raises(GuardError, match="other HU"):
        dicom_speed.measure(tmp_path, 1, rounds=1)


def test_a_reader_that_fails_is_named(tmp_path: Path):
    with pytest.raises(GuardError, match="ctpdeploy failed on"):
        dicom_speed.turn(dicom_speed.OURS, tmp_path / "nothing")
