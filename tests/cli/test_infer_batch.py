"""``ctpdeploy infer`` on several cases, of which some are at work at the same time."""

import gzip
import json
import os
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_a_damaged_header_and_a_loop_cost_no_other_case_anything(
    bundle_folder: Path,
    cases: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    series = nifti_cases.find(cases / "case_10", "CT_4DPWI")
    series.unlink()
    os.mkfifo(series)
    damaged = nifti_cases.find(cases / "case_3", "CT_4DPWI")
    damaged.write_bytes(damaged.read_bytes()[:40] + bytes(16 * [255]) + damaged.read_bytes()[56:])
    (cases / "case_1" / "loop").symlink_to(cases)
    (cases / "again").symlink_to(".")
    assert run(["infer", str(bundle_folder), str(cases), "--out", str(tmp_path / "out")]) == ExitCode.BATCH
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_1", "case_11", "case_2"]
    said = capsys.readouterr().err
    assert f"Error: case_10: {series} is a pipe or a device, not a file" in said
    assert "Error: case_3: " in said
    assert "2 of 5 cases failed (case_3, case_10)" in said


def damage(case: Path, how: str) -> None:
    """Spoil the series of a case."""
    series = nifti_cases.find(case, "CT_4DPWI")
    content = series.read_bytes()
    match how:
        case "unreadable file":
            series.chmod(0)
        case "unreadable folder":
            series.parent.chmod(0)
        case "pipe":
            series.unlink()
            os.mkfifo(series)
        case "link to itself":
            series.unlink()
            series.symlink_to(series.name)
        case "damaged gzip":
            packed = bytearray(gzip.compress(content))
            packed[len(packed) // 2 : len(packed) // 2 + 100] = bytes(100)
            series.with_suffix(".nii.gz").write_bytes(packed)
            series.unlink()
        case "cut gzip":
            series.with_suffix(".nii.gz").write_bytes(gzip.compress(content)[:-100])
            series.unlink()
        case _:
            series.write_bytes(b"")


DAMAGE = ["pipe", "link to itself", "damaged gzip", "cut gzip", "empty"]
if hasattr(os, "getuid") and os.getuid() != 0:  # who may read everything
    DAMAGE += ["unreadable file", "unreadable folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize("command", ["infer", "evaluate"])
def test_no_damage_of_one_case_stops_another(
    command: str, bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("a whole one", *DAMAGE, "z whole too"):
        case = nifti_cases.write_isles(tmp_path / "in" / name, shape=(70, 66, 2), frames=16)
        if name in DAMAGE:
            damage(case, name)
    (tmp_path / "in" / "nothing in it").mkdir()
    (tmp_path / "in" / "again").symlink_to(".")
    (tmp_path / "in" / "itself").symlink_to("itself")
    arguments = [command, str(bundle_folder), str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--json"]
    assert run(arguments) == ExitCode.BATCH
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert len(found["refused"]) == len(DAMAGE)
    for reason in found["refused"].values():
        assert "Unexpected" not in reason
        assert reason in printed.err
    assert f"{len(DAMAGE)} of {len(DAMAGE) + 2} cases failed" in printed.err
    if command == "infer":
        assert [report["case"] for report in found["cases"]] == ["a whole one", "z whole too"]
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"a whole one", "z whole too"}
    else:
        assert found["cases"] == 2
