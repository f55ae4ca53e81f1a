"""``ctpdeploy infer`` of one case."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import dicom_images, nifti_cases
from support.bundles import write_bundle

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.backends.registry import BACKENDS


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return nifti_cases.write_isles(tmp_path / "in" / "case_7", shape=(70, 66, 2), frames=16)


def test_infer_on_a_case_of_another_hospital(bundle_folder: Path, tmp_path: Path, capsys):  # noqa: ANN001
    """22 slices, 64 frames, other ids and voxels, uint16 flow, float64 times, and contrast that never washes out."""
    case = nifti_cases.write_isles(
        tmp_path / "in" / "case_7", shape=(70, 66, 22), frames=64, zooms=(1.3, 1.3, 4.0), falls=False
    )
    out = tmp_path / "out"
    assert run(["infer", str(bundle_folder), str(case), "--out", str(out), "--json"]) == ExitCode.DONE
    report = json.loads(capsys.readouterr().out)["cases"][0]
    assert report["case"] == "case_7"
    assert report["engine"]["backend"] == "ort-cpu"
    mask = nifti_cases.load(out / "case_7" / "sub-case7_desc-lesion_mask.nii.gz")
    assert mask.shape == (70, 66, 22)
    assert set(np.unique(mask)) <= {0, 1}
    assert report["input"]["spacing_mm"] == pytest.approx([4.0, 1.3, 1.3])
    assert any("falling" in warning for warning in report["warnings"])
    assert report["perfusion_window"]["end_frame"] == 63


def test_infer_on_explicit_files_gives_what_the_folder_gives(bundle_folder: Path, case: Path, tmp_path: Path):
    files = {name: str(nifti_cases.find(case, m)) for name, m in nifti_cases.MODALITIES.items()}
    options = [argument for name, path in files.items() for argument in (f"--{name}", path)]
    assert run(["infer", str(bundle_folder), *options, "--name", "mine", "--out", str(tmp_path / "a")]) == 0
    assert run(["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "b")]) == 0
    explicit = nifti_cases.load(tmp_path / "a" / "mine" / "sub-mine_desc-lesion_probseg.nii.gz")
    folder = nifti_cases.load(tmp_path / "b" / "case_7" / "sub-case7_desc-lesion_probseg.nii.gz")
    np.testing.assert_array_equal(explicit, folder)


def test_one_bad_case_is_refused_and_leaves_nothing(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    nifti_cases.find(case, "CT_CBF").write_text("no image")
    assert run(["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out")]) == ExitCode.INPUT
    assert not (tmp_path / "out").exists()
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error:")]
    assert len(error) == 1
    assert "CT_CBF" in error[0]


def test_one_bad_case_of_a_folder_does_not_stop_the_others(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    bad = nifti_cases.write_isles(case.parent / "case_8")
    nifti_cases.find(bad, "CT_MTT").unlink()
    arguments = ["infer", str(bundle_folder), str(case.parent), "--out", str(tmp_path / "out")]
    assert run(arguments) == ExitCode.BATCH
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case_7"]
    printed = capsys.readouterr()
    assert "case_8 lacks MTT" in printed.err
    assert "case_7" in printed.out
    assert run([*arguments, "--json"]) == ExitCode.BATCH
    printed = json.loads(capsys.readouterr().out)
    assert [report["case"] for report in printed["cases"]] == ["case_7"]
    assert "lacks MTT" in printed["refused"]["case_8"]


def test_the_frame_interval_given_overrules_the_files(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    nifti_cases.patch(nifti_cases.find(case, "CT_4DPWI"), pixdim={4: 1e-30})
    arguments = ["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out"), "--json"]
    assert run(arguments) == ExitCode.INPUT
    assert "give the right one, for NIfTI files as --frame-interval" in capsys.readouterr().err
    assert run([*arguments, "--frame-interval", "2.5"]) == ExitCode.DONE
    report = json.loads(capsys.readouterr().out)["cases"][0]
    assert report["input"]["frame_interval_s"] == 2.5
    assert report["input"]["frame_interval_source"] == "frame_interval"
    assert report["perfusion_window"]["end_s"] == 2.5 * report["perfusion_window"]["end_frame"]
    assert run([*arguments, "--frame-interval", "0.1"]) == ExitCode.INPUT


def test_resume_keeps_no_result_of_another_interval(bundle_folder: Path, case: Path, tmp_path: Path):
    report = tmp_path / "out" / case.name / "report.json"
    arguments = ["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out"), "--resume"]
    made = []
    for interval in ([], ["--frame-interval", "1.5"], ["--frame-interval", "1.5"], ["--frame-interval", "2"], []):
        assert run([*arguments, *interval]) == ExitCode.DONE
        made.append((report.stat().st_ino, json.loads(report.read_text())["input"]["frame_interval_s"]))
    assert made[1] == made[2]
    assert len(set(made)) == 4
    assert [interval for _, interval in made[1:4]] == [1.5, 1.5, 2.0]


def test_resume_skips_what_is_done(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    arguments = ["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out"), "--json", "--resume"]
    assert run(arguments) == ExitCode.DONE
    first = capsys.readouterr().out
    assert run(arguments) == ExitCode.DONE
    assert capsys.readouterr().out == first  # with the seconds of the first run
    nifti_cases.find(case, "CT_CBF").write_text("no image")
    assert run(arguments) == ExitCode.INPUT


def test_the_refusal_of_an_only_case_is_json_too(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    arguments = ["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out"), "--json"]
    assert run(arguments) == ExitCode.DONE
    nifti_cases.find(case, "CT_CBF").write_text("no image")
    capsys.readouterr()
    assert run(arguments) == ExitCode.INPUT
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["cases"] == []
    assert "CT_CBF" in found["refused"]["case_7"]
    earlier = f"Its earlier result is in {tmp_path / 'out' / 'earlier' / 'case_7'} now."
    assert found["refused"]["case_7"].endswith(earlier)
    assert printed.err.splitlines()[-2] == earlier
    assert not (tmp_path / "out" / "case_7").exists()


@pytest.mark.parametrize("where", ["the cases", "above", "the bundle", "in the bundle", "a file", "below a file"])
def test_a_folder_for_results_that_cannot_be_is_refused_before_the_bundle_is_opened(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
):
    bundle = tmp_path / "no.ctpbundle"
    bundle.mkdir()
    (tmp_path / "file").touch()
    places = {"the cases": case.parent, "above": tmp_path, "the bundle": bundle, "in the bundle": bundle / "results"}
    out = places.get(where, tmp_path / "file" / ("below" if where == "below a file" else ""))
    before = sorted(tmp_path.rglob("*"))
    assert run(["infer", str(bundle), str(case.parent), "--out", str(out)]) == ExitCode.USAGE
    assert "choose another " in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_never_waited_at(bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    os.mkfifo(tmp_path / "ctp.nii")
    arguments = ["infer", str(bundle_folder), "--ctp", str(tmp_path / "ctp.nii"), "--out", str(tmp_path / "out")]
    assert run(arguments) == ExitCode.INPUT
    assert "ctp.nii is a pipe or a device, not a file" in capsys.readouterr().err


def test_a_service_without_a_home_infers_without_a_cache(bundle_folder: Path, case: Path, tmp_path: Path):
    """Nobody has the number of this user: a home is neither in the environment nor in the list of users."""
    homeless = "import pwd; pwd.getpwuid = lambda _: (_ for _ in ()).throw(KeyError()); "
    command = f"{homeless} from ctpdeploy.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG")}
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", command, "infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out")],
        env=environment,
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_a_backend_that_is_not_there(bundle_folder: Path, case: Path, tmp_path: Path, monkeypatch):  # noqa: ANN001
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    arguments = ["infer", str(bundle_folder), str(case), "--out", str(tmp_path / "out"), "--backend", "ort-cpu"]
    assert run(arguments) == ExitCode.BACKEND
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx", "ort-cuda"])
def test_a_gpu_backend_without_a_gpu(tmp_path: Path, case: Path, capsys, backend: str):  # noqa: ANN001
    if BACKENDS[backend].unavailable_because() is None:
        pytest.skip(f"{backend} runs here.")
    bundle = write_bundle(tmp_path / "small.ctpbundle")
    arguments = ["infer", str(bundle), str(case), "--out", str(tmp_path / "out"), "--backend", backend]
    assert run(arguments) == ExitCode.BACKEND
    _, error = capsys.readouterr().err.splitlines()  # after the number of cases found
    assert error.startswith(f"Error: The backend {backend} cannot run: ")
    assert not (tmp_path / "out").exists()


def test_infer_on_a_dicom_study_writes_dicom_objects(bundle_folder: Path, phantom_case: Case, tmp_path: Path):
    hu = np.rint(phantom_case.series[:, :, ::-1]).astype(np.int16)
    dicom_images.write_scan(tmp_path / "study", hu, spacing=phantom_case.geometry.spacing)
    line = ["infer", str(bundle_folder), str(tmp_path / "study"), "--out"]
    assert run([*line, str(tmp_path / "default")]) == ExitCode.DONE
    assert run([*line, str(tmp_path / "none"), "--no-dicom"]) == ExitCode.DONE
    assert run([*line, str(tmp_path / "shades"), "--fractional"]) == ExitCode.DONE
    assert run([*line, str(tmp_path / "wrong"), "--fractional", "--no-dicom"]) == ExitCode.USAGE
    found = {out: {path.name for path in (tmp_path / out).rglob("*.dcm")} for out in ("default", "none", "shades")}
    assert {"segmentation.dcm", "report.dcm", "overview.dcm"} <= found["default"]
    assert not found["none"]
    assert found["shades"] - found["default"] == {"probability_segmentation.dcm"}


def test_infer_on_nifti_files_makes_no_dicom_objects(bundle_folder: Path, case: Path, tmp_path: Path, capsys):  # noqa: ANN001
    line = ["infer", str(bundle_folder), str(case), "--dicom", "--out", str(tmp_path / "out")]
    assert run(line) == ExitCode.INPUT
    assert "names no patient and no study" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bundle_in_the_place_of_a_case_is_said(
    tmp_path: Path, bundle_folder: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "x.ctpbundle.zip").touch()
    for bundle in (bundle_folder, tmp_path / "x.ctpbundle.zip"):
        assert run(["infer", str(phantom_folder), str(bundle), "--out", str(tmp_path / "out")]) == ExitCode.USAGE
        assert f"{bundle} is a bundle, which goes first: ctpdeploy infer {bundle} CASE." in capsys.readouterr().err
