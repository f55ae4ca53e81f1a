"""All objects of a case: valid, of a case that has a patient, with the package that makes them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.dicom_results import run_tool
from support.predictions import predicted

from ctpdeploy import optional
from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime import Case, Prediction
from ctpdeploy.runtime.preprocess.postprocess import components_of
from ctpdeploy.runtime.report.dicom import writer
from ctpdeploy.runtime.report.dicom.writer import DICOM_FILE, require_dicom, write_dicom


def prediction_of(case: Case) -> Prediction:
    mask = np.zeros(case.series.shape[1:], bool)
    mask[1, 4:8, 5:9] = mask[2, 14, 12] = True
    return replace(predicted(mask, np.zeros(mask.shape, np.float32)), components=components_of(mask, case))


@pytest.mark.parametrize("layout", ["one-series", "tilt", "enhanced", "series-a-phase"])
def test_validators_find_no_error(layout: str, read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout(layout)
    names = write_dicom(tmp_path / "out", case, prediction_of(case), picture, fractional=True)
    assert len(names) == 10
    for name in names.values():
        assert DICOM_FILE.fullmatch(name)
        said = run_tool("dciodvfy", tmp_path / "out" / name)
        assert said.strip(), "it names the kind of object"
        assert "Error" not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != picture]
    (tmp_path / "list").write_text("\n".join(map(str, files)))
    assert "Error" not in run_tool("dcentvfy", "-f", tmp_path / "list")


def test_a_case_of_another_source_names_no_patient(phantom_case: Case, tmp_path: Path, picture: Path):
    with pytest.raises(InputError, match="was not read from DICOM and names no patient"):
        write_dicom(tmp_path / "out", phantom_case, predicted(np.zeros(phantom_case.series.shape[1:], bool)), picture)


def test_a_study_that_went_away_is_refused(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    case.source.first_phase[0][0].unlink()
    with pytest.raises(InputError, match="cannot be read any more"):
        write_dicom(tmp_path / "out", case, prediction_of(case), picture)


def test_without_the_package_its_command_is_named(monkeypatch: pytest.MonkeyPatch):
    require_dicom()
    monkeypatch.setattr(writer, "available", lambda _: False)
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra dicom"):
        require_dicom()
    assert optional.available("highdicom")


def test_dcmtk_reads_them(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("enhanced")
    names = write_dicom(tmp_path / "out", case, prediction_of(case), picture)
    for name in names.values():
        assert "PHANTOM-ONE" in run_tool("dcmdump", tmp_path / "out" / name)
    report = run_tool("dsrdump", tmp_path / "out" / names["report"])
    assert '"Volume")=' in report
    assert "(55641003,SCT," in report
