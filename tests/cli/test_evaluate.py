"""What ``ctpdeploy evaluate`` writes and prints of scores."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.nifti_cases import find
from support.predictions import predicted

from ctpdeploy.cli import run
from ctpdeploy.cli.evaluate import evaluate_with_progress, print_scores
from ctpdeploy.errors import ExitCode
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Case, CaseRef, Prediction, find_cases
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi


class Oracle:
    """Stands for a pipeline: finds the lesion but in ``misses``, and a DWI that is a tenth too bright."""

    config, perfusion = PreprocessConfig(slice_shape=(64, 64)), None

    def __init__(self, *, misses: tuple[str, ...] = (), draws: bool = True) -> None:
        self.misses = misses
        self.draws = draws

    def predict(self, case: Case) -> Prediction:
        missed = case.lesion is None or case.identifier in self.misses
        image = 0.9 * scale_dwi(case.dwi, self.config) + 0.1 if self.draws else None
        return predicted(np.zeros(case.series.shape[1:], bool) if missed else case.lesion, image)


@pytest.fixture
def cases(phantom_folder: Path) -> list[CaseRef]:
    return find_cases(phantom_folder)


def test_the_files_agree_with_the_summary(cases: list[CaseRef], tmp_path: Path):
    summary = evaluate_with_progress(Oracle(misses=("case_2",)), cases, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["networks"]["dice"] == pytest.approx(
        {"mean": 0.75, "std": 3**0.5 / 4, "median": 1.0, "n": 4, "undefined": 0}
    )
    assert summary["networks"]["hd_mm"] == {"mean": 0.0, "std": 0.0, "median": 0.0, "n": 3, "undefined": 1}
    assert summary["networks"]["hd_or_diagonal_mm"]["n"] == 4
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "networks"]
    cases = json.loads((tmp_path / "scores.json").read_text())
    assert [row["case"] for row in rows] == [case["case"] for case in cases] == [f"case_{i}" for i in range(1, 5)]
    for row, case in zip(rows, cases, strict=True):
        assert float(row["global_ssim"]) == pytest.approx(case["networks"]["global_ssim"], rel=1e-5)
        assert (row["hd_mm"] == "") == (case["networks"]["hd_mm"] is None) == (row["case"] == "case_2")


def test_the_tables_can_be_read(cases: list[CaseRef], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    print_scores(evaluate_with_progress(Oracle(misses=("case_2",)), cases, tmp_path))
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 100
    lines = text.splitlines()
    assert "0.750 ± 0.433" in next(line for line in lines if line.startswith("networks"))
    for word in (
        "mean ± std of 4 cases",
        "HD",
        "ASSD",
        "SSIM",
        "PSNR in dB",
        "under 10 ml",
        "10 to 50 ml",
        "over 50 ml",
        "AP",
        "|dV| in ml",
        "bias in ml",
        "(median)",
        "Dice < 10 ml",
        "the same of a flat image",
        "false a patient",
        "expected calibration error",
        "Mean rank as in ISLES 2018",
    ):
        assert word in text
    assert sum(line.startswith("Tmax > 6 s and rCBF < 30 %") for line in lines) == 3
    gaps = next(line for line in lines if line.startswith("Left out of the means of networks"))
    assert "hd_mm in 1, assd_mm in 1 cases" in gaps
    assert "hd_or_diagonal_mm" not in gaps


def test_without_a_pseudo_dwi_its_table_is_left_out(cases: list[CaseRef], tmp_path: Path, capsys):  # noqa: ANN001
    print_scores(evaluate_with_progress(Oracle(draws=False), cases, tmp_path))
    assert "PSNR" not in capsys.readouterr().out


def test_without_scikit_image_only_ssim_is_missing(cases: list[CaseRef], tmp_path: Path, capsys, monkeypatch):  # noqa: ANN001
    whole = evaluate_with_progress(Oracle(), cases, tmp_path)
    assert "SSIM" not in capsys.readouterr().err
    monkeypatch.setattr("ctpdeploy.optional.available", lambda module: module != "skimage")
    without = evaluate_with_progress(Oracle(), cases, tmp_path)
    said = capsys.readouterr().err
    assert "SSIM was not measured: install ctpdeploy with its extra evaluate." in said
    changed = {name for name, figure in whole["networks"].items() if without["networks"][name] != figure}
    assert changed == {"global_ssim", "local_ssim", "brain_ssim", "flat_ssim"}
    assert without["networks"]["global_ssim"] == {"mean": None, "std": None, "median": None, "n": 0, "undefined": 4}
    assert without["threshold_rule"] == whole["threshold_rule"]
    print_scores(without)
    assert "whole slices" in capsys.readouterr().out
    evaluate_with_progress(Oracle(draws=False), cases, tmp_path)
    assert "SSIM" not in capsys.readouterr().err  # there is no image to measure


def test_evaluate_scores_run_and_bundle_alike(
    trained_run: Path,
    bundle_folder: Path,
    phantom_folder: Path,
    tmp_path: Path,
    capsys,  # noqa: ANN001
):
    scores = []
    for model in (trained_run, bundle_folder):
        assert run(["evaluate", str(model), str(phantom_folder), "--out", str(tmp_path), "--json"]) == ExitCode.DONE
        printed = capsys.readouterr()
        scores.append(json.loads(printed.out))
        assert "4 cases are scans that the networks were trained or validated on, case_1 among them" in printed.err
        assert scores[-1]["known"] == ["case_1", "case_2", "case_3", "case_4"]
        assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + 2 * 4
    assert scores[0]["threshold_rule"] == scores[1]["threshold_rule"]
    assert scores[0]["networks"]["dice"]["mean"] == pytest.approx(scores[1]["networks"]["dice"]["mean"], abs=1e-3)
    assert run(["evaluate", str(bundle_folder), str(phantom_folder), "--out", str(tmp_path)]) == ExitCode.DONE
    assert "Tmax > 6 s and rCBF < 30 %" in capsys.readouterr().out


def test_a_case_that_cannot_be_scored_is_named_and_the_others_are_scored(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = tmp_path / "data"
    for name in ("case_1", "case_2", "case_3"):
        shutil.copytree(phantom_folder / name, data / name)
    find(data / "case_2", "CT_CBV").write_text("no image")
    command = ["evaluate", str(bundle_folder), str(data), "--out", str(tmp_path / "out")]
    assert run([*command, "--json"]) == ExitCode.BATCH
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert summary["cases"] == 2
    assert list(summary["refused"]) == ["case_2"]
    assert "Error: case_2: " in printed.err
    assert "1 of 3 cases failed (case_2); the others are in" in printed.err
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    (tmp_path / "file").touch()
    assert run([*command[:-1], str(tmp_path / "file")]) == ExitCode.USAGE


def test_a_scan_that_was_trained_on_is_known_by_any_name_and_another_by_none(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = tmp_path / "data"
    shutil.copytree(phantom_folder / "case_1", data / "renamed")
    series = find(data / "renamed", "CT_4DPWI")
    nib.save(nib.load(series, mmap=False), series.with_suffix(".nii.gz"))
    series.unlink()
    write_dataset(data, cases=1, seed=8, config=PhantomConfig(size=64, slices=2, frames=20))  # another case_1
    command = ["evaluate", str(bundle_folder), str(data), "--out", str(tmp_path / "out"), "--json"]
    assert run(command) == ExitCode.DONE
    printed = capsys.readouterr()
    assert json.loads(printed.out)["known"] == ["renamed"]
    assert "Warning: 1 case is a scan that the networks were trained or validated on, renamed among" in printed.err
