"""``ctpdeploy infer`` on other layouts, and what it leaves for the challenge."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import isles2024_cases, nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode

MTT_ID = 987001 + 13 * 3  # the fourth volume that studies writes


@pytest.fixture
def testing(tmp_path: Path) -> Path:
    """Two cases without lesion whose MTT maps have ids of their own, and one that lacks MTT."""
    folder = tmp_path / "TESTING"
    for number in (1, 2, 3):
        case = nifti_cases.write_isles(folder / f"case_{number}", shape=(70, 66, 2), frames=16)
        nifti_cases.find(case, "OT").unlink()
        path = nifti_cases.find(case, "CT_MTT")
        path.rename(path.with_name(path.name.replace(str(MTT_ID), f"34600{number}")))
    nifti_cases.find(folder / "case_3", "CT_MTT").unlink()
    return folder


def submit(bundle: Path, cases: Path, out: Path, *options: str) -> int:
    return run(["infer", str(bundle), str(cases), "--out", str(out), "--submission", "mine", *options])


def test_a_submission_of_those_that_did_not_fail(bundle_folder: Path, testing: Path, tmp_path: Path, capsys):  # noqa: ANN001
    out = tmp_path / "out"
    assert submit(bundle_folder, testing, out, "--json") == ExitCode.BATCH
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == {"case_1", "case_2", "submission"}
    masks = {f"SMIR.mine.34600{number}.nii": out / f"case_{number}" for number in (1, 2)}
    assert {path.name for path in (out / "submission").iterdir()} == {"mine.zip", *masks}
    assert zipfile.ZipFile(out / "submission" / "mine.zip").namelist() == list(masks)
    for (name, case), report in zip(masks.items(), json.loads(printed.out)["cases"], strict=True):
        assert report == json.loads((case / "report.json").read_text())
        assert report["submission"] == f"submission/{name}"
        mask = nifti_cases.load(case / report["outputs"]["mask"])
        np.testing.assert_array_equal(nifti_cases.load(out / "submission" / name), mask)
        assert {path.name for path in case.iterdir()} == {"report.json", "digests.json", *report["outputs"].values()}
    assert "case_3 cannot be submitted, since it has no MTT map" in printed.err
    assert f"The masks to submit, 2, are in {out / 'submission' / 'mine.zip'}" in printed.err
    assert "the others are in" in printed.err


def test_what_was_inferred_before_is_submitted_without_running_again(
    bundle_folder: Path,
    testing: Path,
    tmp_path: Path,
    capsys,  # noqa: ANN001
):
    out = tmp_path / "out"
    one = testing / "case_1"
    assert run(["infer", str(bundle_folder), str(one), "--out", str(out)]) == ExitCode.DONE
    first = json.loads((out / "case_1" / "report.json").read_text())
    capsys.readouterr()
    assert submit(bundle_folder, one, out, "--resume", "--json") == ExitCode.DONE
    report = json.loads(capsys.readouterr().out)["cases"][0]
    assert report == first | {"submission": "submission/SMIR.mine.346001.nii"}  # with the seconds of the first run
    assert json.loads((out / "case_1" / "report.json").read_text()) == report
    assert (out / report["submission"]).is_file()


def test_one_case_that_cannot_be_submitted_leaves_nothing(bundle_folder: Path, testing: Path, tmp_path: Path, capsys):  # noqa: ANN001
    path = nifti_cases.find(testing / "case_1", "CT_MTT")
    path.rename(path.with_name("SMIR.Brain.XX.O.CT_MTT.nii"))
    assert submit(bundle_folder, testing / "case_1", tmp_path / "out") == ExitCode.INPUT
    assert not (tmp_path / "out").exists()
    assert "case_1 cannot be submitted" in capsys.readouterr().err


def test_explicit_files_can_be_submitted(bundle_folder: Path, testing: Path, tmp_path: Path):
    files = {name: str(nifti_cases.find(testing / "case_2", m)) for name, m in nifti_cases.MODALITIES.items()}
    options = [argument for name, path in files.items() for argument in (f"--{name}", path)]
    arguments = ["infer", str(bundle_folder), *options, "--out", str(tmp_path / "out"), "--submission", "mine"]
    assert run(arguments) == ExitCode.DONE
    assert (tmp_path / "out" / "submission" / "SMIR.mine.346002.nii").is_file()


@pytest.mark.parametrize(
    "options",
    [
        ["--submission", "v1.0"],
        ["--submission", "mine", "--name", "submission"],
        ["--name", ".."],
        ["--name", ""],
    ],
)
def test_names_that_cannot_be_are_usage_errors(options: list[str], tmp_path: Path):
    arguments = ["infer", "x.ctpbundle", "--ctp", "a.nii", "--out", str(tmp_path / "out"), *options]
    assert run(arguments) == ExitCode.USAGE
    assert not (tmp_path / "out").exists()


def test_isles_2024_is_inferred_on_the_voxels_of_its_series(bundle_folder: Path, tmp_path: Path, capsys):  # noqa: ANN001
    raw, derived = isles2024_cases.write_subject(tmp_path / "train")
    for folder, name in ((raw, "raw"), (tmp_path / "train", "derived")):
        out = tmp_path / name
        assert run(["infer", str(bundle_folder), str(folder), "--out", str(out), "--json"]) == ExitCode.DONE
        report = json.loads(capsys.readouterr().out)["cases"][0]
        assert report["case"] == "sub-stroke0001"
        mask = nifti_cases.load(out / "sub-stroke0001" / report["outputs"]["mask"])
        assert mask.shape == (isles2024_cases.RAW_SHAPE if name == "raw" else isles2024_cases.NCCT_SHAPE)
        assert report["input"]["spacing_source"] == "affine"
    assert run(["evaluate", str(bundle_folder), str(derived), "--out", str(tmp_path / "scores")]) == ExitCode.DONE
    assert submit(bundle_folder, raw, tmp_path / "out") == ExitCode.INPUT
    assert "ses-01_mtt.nii.gz" in capsys.readouterr().err
