"""``ctpdeploy infer`` on several cases, of which some are at work at the same time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Case, Pipeline, Prediction


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Five cases; the names do not sort as the numbers do."""
    for number in (1, 2, 3, 10, 11):
        nifti_cases.write_isles(tmp_path / "in" / f"case_{number}", shape=(70, 66, 2), frames=16)
    return tmp_path / "in"


def test_reports_and_refusals_keep_their_order(bundle_folder: Path, cases: Path, tmp_path: Path, capsys):  # noqa: ANN001
    nifti_cases.find(cases / "case_1", "CT_MTT").write_text("no image")
    spoilt = nifti_cases.find(cases / "case_3", "CT_Tmax")
    nifti_cases.save(spoilt, np.full(nifti_cases.load(spoilt).shape, np.nan, dtype=np.float32))
    nifti_cases.find(cases / "case_11", "CT_CBV").unlink()
    out = tmp_path / "out"
    assert run(["infer", str(bundle_folder), str(cases), "--out", str(out), "--json"]) == ExitCode.BATCH
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert [report["case"] for report in found["cases"]] == ["case_2", "case_10"]
    assert list(found["refused"]) == ["case_1", "case_3", "case_11"]
    for name, reason in (("case_1", "CT_MTT"), ("case_3", "NaN or infinity"), ("case_11", "lacks CBV")):
        assert reason in found["refused"][name]
        assert f"Error: {name}: {found['refused'][name]}" in printed.err
    assert "3 of 5 cases failed (case_1, case_3, case_11)" in printed.err
    assert sorted(path.name for path in out.iterdir()) == ["case_10", "case_2"]
    for report in found["cases"]:
        assert json.loads((out / report["case"] / "report.json").read_text()) == report


def test_many_cases_give_what_each_gives_alone(bundle_folder: Path, cases: Path, tmp_path: Path):
    assert run(["infer", str(bundle_folder), str(cases), "--out", str(tmp_path / "all")]) == ExitCode.DONE
    one = cases / "case_10"
    assert run(["infer", str(bundle_folder), str(one), "--out", str(tmp_path / "one")]) == ExitCode.DONE
    for path in (tmp_path / "one" / "case_10").glob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "all" / "case_10" / path.name).read_bytes()


def test_resume_does_what_is_left(bundle_folder: Path, cases: Path, tmp_path: Path, capsys):  # noqa: ANN001
    out = tmp_path / "out"
    assert run(["infer", str(bundle_folder), str(cases / "case_2"), "--out", str(out)]) == ExitCode.DONE
    written = (out / "case_2" / "report.json").stat().st_mtime_ns
    nifti_cases.find(cases / "case_2", "CT_CBF").write_text("no image")  # would be refused if it were read again
    capsys.readouterr()
    assert run(["infer", str(bundle_folder), str(cases), "--out", str(out), "--json", "--resume"]) == ExitCode.DONE
    names = [report["case"] for report in json.loads(capsys.readouterr().out)["cases"]]
    assert names == ["case_1", "case_2", "case_3", "case_10", "case_11"]
    assert (out / "case_2" / "report.json").stat().st_mtime_ns == written


def test_a_failure_that_nobody_foresaw_is_of_its_case_alone(
    bundle_folder: Path,
    cases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def predict(pipeline: Pipeline, case: Case) -> Prediction:
        if case.identifier == "case_2":
            raise RuntimeError("Non-zero status code returned while running Conv node.")
        return as_ever(pipeline, case)

    as_ever = Pipeline.predict
    monkeypatch.setattr(Pipeline, "predict", predict)
    assert run(["infer", str(bundle_folder), str(cases), "--out", str(tmp_path / "out")]) == ExitCode.BATCH
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_1", "case_10", "case_11", "case_3"]
    printed = capsys.readouterr().err
    assert "Error: case_2: Unexpected RuntimeError (Non-zero status code" in printed
    assert "1 of 5 cases failed (case_2)" in printed


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without
from ctpdeploy.cli import main
main()
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_an_interruption_ends_at_once_and_leaves_whole_cases(bundle_folder: Path, cases: Path, tmp_path: Path):
    """The series of the fourth case is a pipe into which nobody writes: reading it never ends."""
    series = nifti_cases.find(cases / "case_10", "CT_4DPWI")
    series.unlink()
    os.mkfifo(series)
    out = tmp_path / "out"
    command = [sys.executable, "-c", INTERRUPTIBLE, "infer", str(bundle_folder), str(cases), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 120
            while not (out / "case_2").exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode not in (ExitCode.DONE, ExitCode.BATCH)
    assert {path.name for path in out.iterdir()} in ({"case_1", "case_2"}, {"case_1", "case_2", "case_3"})
    for folder in out.iterdir():
        report = json.loads((folder / "report.json").read_text())
        assert {path.name for path in folder.iterdir()} == {"report.json", *report["outputs"].values()}
