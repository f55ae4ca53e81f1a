"""``ctpdeploy inspect``, and ``infer`` on a study."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.dicom_images import head_series, uid, write_scan

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Case


def test_a_study_is_listed_with_what_would_be_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_scan(tmp_path / "study")
    write_scan(tmp_path / "study", head_series(frames=1), series="plain")
    assert run(["inspect", str(tmp_path / "study")]) == ExitCode.DONE
    printed = capsys.readouterr()
    assert "CT perfusion  taken" in printed.out
    assert "volume        it has one image at each place" in printed.out
    assert (
        "Series 3 would be taken: 20 volumes of 3 slices of 20 x 24, every 2 s for 38 s by AcquisitionTime; "
        "slices of 6 mm every 6 mm." in printed.err
    )
    assert "Doe" not in printed.out + printed.err


def test_a_study_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_scan(tmp_path / "study")
    assert run(["inspect", str(tmp_path / "study"), "--json"]) == ExitCode.DONE
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert study["series"][0]["uids"] == [uid("study", "ctp")]


def test_a_study_without_perfusion_and_a_folder_without_a_study_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_scan(tmp_path / "study", head_series(frames=1))
    assert run(["inspect", str(tmp_path / "study")]) == ExitCode.INPUT
    assert "holds no CT perfusion series among its 1 (1 volume)" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(["inspect", str(tmp_path / "empty")]) == ExitCode.INPUT
    assert "holds no DICOM images" in capsys.readouterr().err


def test_a_study_goes_from_files_to_a_mask(
    tmp_path: Path, bundle_folder: Path, phantom_case: Case, capsys: pytest.CaptureFixture[str]
):
    hu = np.rint(phantom_case.series[:, :, ::-1]).astype(np.int16)
    write_scan(tmp_path / "study", hu, spacing=phantom_case.geometry.spacing)
    write_scan(tmp_path / "study", hu, spacing=phantom_case.geometry.spacing, series="again")
    command = ["infer", str(bundle_folder), str(tmp_path / "study"), "--out", str(tmp_path / "out")]
    assert run(command) == ExitCode.INPUT
    assert "show one scan" in capsys.readouterr().err
    assert run([*command, "--series", uid("study", "ctp")]) == ExitCode.DONE
    report = json.loads((tmp_path / "out" / "study" / "report.json").read_text())
    assert report["input"]["frame_interval_source"] == "AcquisitionTime"
    assert report["input"]["files"] == {"ctp": f"series 3, {hu.shape[0] * hu.shape[1]} images"}
    assert (tmp_path / "out" / "study" / "overview.png").is_file()
