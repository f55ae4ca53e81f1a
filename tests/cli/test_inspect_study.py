"""``ctpdeploy inspect``, and ``infer`` on a study."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from support.dicom_images import head_series, uid, write_scan
from support.map_studies import NUMBERS, files_of, write_patient

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
    assert f"3       {uid('study', 'ctp')}" in printed.out
    assert "Doe" not in printed.out + printed.err


def test_what_is_passed_over_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_scan(tmp_path / "study")
    for name in ("a.txt", "b.txt", "c"):
        (tmp_path / "study" / name).write_text("no image")
    (tmp_path / "study" / "empty").touch()
    (tmp_path / "study" / "cut.zip").write_bytes(b"PK")
    assert run(["inspect", str(tmp_path / "study")]) == ExitCode.DONE
    printed = capsys.readouterr().err
    assert "Passed over of 65 files: 2 (the ending of another format), 1 (no file of DICOM)." in printed
    assert "empty is empty: send it again." in printed
    assert "cut.zip is no whole archive" in printed
    assert run(["inspect", str(tmp_path / "study"), "--json"]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert len(found["unreadable"]) == 2
    assert sum(found["passed_over"].values()) == 3


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
    assert run([*command, "--series", "3"]) == ExitCode.INPUT
    assert uid("study", "again") in capsys.readouterr().err
    assert run([*command, "--series", uid("study", "ctp")]) == ExitCode.DONE
    report = json.loads((tmp_path / "out" / "study" / "report.json").read_text())
    assert report["input"]["frame_interval_source"] == "AcquisitionTime"
    assert report["input"]["files"] == {"ctp": f"series 3, {hu.shape[0] * hu.shape[1]} images"}
    assert (tmp_path / "out" / "study" / "overview.png").is_file()


def test_maps_are_listed_with_the_scan_that_they_would_be_taken_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_patient(tmp_path / "study", "siemens-maps", junk=True)
    assert run(["inspect", str(tmp_path / "study")]) == ExitCode.DONE
    printed = capsys.readouterr()
    assert "Tmax in ms: taken for series 101" in printed.out
    assert "CBF: a map in colours holds no values" in printed.out
    assert "The maps are the study's own, not computed ones" in printed.err
    files_of(tmp_path / "study", NUMBERS["mtt"])[0].unlink()
    assert run(["inspect", str(tmp_path / "study")]) == ExitCode.DONE
    printed = capsys.readouterr()
    assert "MTT in ms: it lies on 3 of the scan's 4 slices" in printed.out
    assert "Tmax in ms: it has no MTT beside it" in printed.out
    assert "The study's maps were not used." in printed.err
    assert run(["inspect", str(tmp_path / "study"), "--json"]) == ExitCode.DONE
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    maps = [one for series in study["series"] for one in series["maps"]]
    assert [(one["quantity"], one["taken_for"]) for one in maps] == [
        *((name, []) for name in NUMBERS),
        ("cbf", []),
    ]


def test_a_study_gives_results_of_its_maps_and_others_of_computed_ones(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
):
    write_patient(tmp_path / "study", "canon-maps")
    out = tmp_path / "out" / "study"
    command = ["infer", str(bundle_folder), str(tmp_path / "study"), "--out", str(tmp_path / "out"), "--resume"]

    def infer(*options: str) -> tuple[dict, set[str], float]:
        assert run([*command, *options]) == ExitCode.DONE
        capsys.readouterr()
        report = json.loads((out / "report.json").read_text())
        return report, {found["code"] for found in report["findings"]}, (out / "report.json").stat().st_mtime_ns

    report, codes, made = infer()
    assert "maps-of-study" in codes
    assert report["perfusion_maps"]["computed_with"] is None
    assert {report["input"]["files"][name] for name in NUMBERS} == {"series 601"}
    assert "tmax" not in report["outputs"]
    uids = {path.name: dcmread(path).SOPInstanceUID for path in (out / "dicom").iterdir()}
    assert infer()[2] == made
    report, codes, made_computed = infer("--maps", "computed")
    assert {"maps-set-aside", "maps-computed"} <= codes
    assert report["perfusion_maps"]["computed_with"] is not None
    assert made_computed != made
    assert infer("--maps", "computed")[2] == made_computed
    others = {path.name: dcmread(path).SOPInstanceUID for path in (out / "dicom").iterdir()}
    assert set(others) > set(uids)
    assert not set(others.values()) & set(uids.values())
    for path in files_of(tmp_path / "study", 601):
        path.unlink()
    assert "maps-computed" in infer()[1]
    without = {dcmread(path).SOPInstanceUID for path in (out / "dicom").iterdir()}
    assert not without & {*others.values(), *uids.values()}


def test_computed_maps_may_be_asked_for_of_nifti_too(tmp_path: Path, bundle_folder: Path, phantom_folder: Path):
    command = ["infer", str(bundle_folder), str(phantom_folder / "case_2"), "--out", str(tmp_path / "out")]
    assert run([*command, "--maps", "computed"]) == ExitCode.DONE
    report = json.loads((tmp_path / "out" / "case_2" / "report.json").read_text())
    assert {"maps-set-aside", "maps-computed"} <= {found["code"] for found in report["findings"]}
    assert set(report["input"]["files"]) & set(NUMBERS) == set()
