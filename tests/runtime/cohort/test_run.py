"""Cases from disk to disk: each ends in its folder or in its refusal, with an engine that belongs to one thread."""

import json
import logging
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import nifti_cases
from support.clocks import Clock

from ctpdeploy.errors import GuardError, InputError, UsageError
from ctpdeploy.runtime import Case, CaseRef, Pipeline, find_cases
from ctpdeploy.runtime.cohort.run import CaseOutcome, Cohort, infer_cases, predict_cases
from ctpdeploy.runtime.data.prediction import EngineInfo, Provenance
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.io.layout import case_of_files
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.report import writers
from ctpdeploy.runtime.report.submission import Submission

CONFIG = PreprocessConfig(slice_shape=(64, 64))
STAGES = ["read", "preprocess", "networks", "postprocess", "write", "overview"]
BUNDLE = Provenance(
    bundle={"name": "x.ctpbundle", "sha256": 64 * "0"}, backend_requested="auto", backend_because="It was asked for."
)


class OneThread:
    """Refuses to run in another thread than the one that made it, as a CUDA context does; fails for one call."""

    info = EngineInfo(backend="one thread", device="none", precision="fp32")

    def __init__(self, fails: int = -1, error: Exception | None = None) -> None:
        self.thread, self.calls, self.fails, self.error = threading.get_ident(), 0, fails, error

    def run(self, batch: SliceBatch) -> SliceOutputs:
        assert threading.get_ident() == self.thread
        self.calls += 1
        if self.calls == self.fails and self.error:
            raise self.error
        late = batch.features[:, 3]
        return SliceOutputs(probability=late * (float("nan") if self.calls == self.fails else 1.0))


def damaged(_: CaseRef) -> Case:
    raise InputError("damaged")


def run(cases: list[CaseRef], engine: OneThread, out: Path) -> list[CaseOutcome]:
    outcomes: list[CaseOutcome] = []
    predict_cases(cases, Pipeline(engine, CONFIG), out, outcomes.append)
    return outcomes


def test_every_case_ends_in_its_folder_or_in_its_refusal(tmp_path: Path, phantom_folder: Path):
    cases = find_cases(phantom_folder)
    cases.insert(1, replace(cases[0], name="broken", reader=damaged))
    outcomes = run(cases, OneThread(fails=2), tmp_path)
    assert [outcome.case for outcome in outcomes] == ["case_1", "broken", "case_2", "case_3", "case_4"]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        InputError,
        GuardError,
        type(None),
        type(None),
    ]
    assert outcomes[1].refusal == "damaged"
    assert "case_2" in outcomes[2].refusal
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case_1", "case_3", "case_4"]
    for outcome in outcomes:
        if outcome.report:
            assert outcome.report == json.loads((tmp_path / outcome.case / "report.json").read_text())


@pytest.mark.parametrize(
    "error", [RuntimeError("Non-zero status code"), MemoryError(), KeyError("x"), OSError(28, "full")]
)
def test_an_error_that_nobody_foresaw_is_the_refusal_of_its_case(
    tmp_path: Path, phantom_folder: Path, error: Exception
):
    outcomes = run(find_cases(phantom_folder), OneThread(fails=2, error=error), tmp_path)
    assert [outcome.error for outcome in outcomes] == [None, error, None, None]
    assert f"Unexpected {type(error).__name__}" in outcomes[1].refusal


def test_an_interruption_is_not_a_refusal(tmp_path: Path, phantom_folder: Path):
    with pytest.raises(KeyboardInterrupt):
        run(find_cases(phantom_folder), OneThread(fails=2, error=KeyboardInterrupt()), tmp_path)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["case_1"]


def test_the_stages_of_a_case_are_its_time(tmp_path: Path, phantom_folder: Path, monkeypatch: pytest.MonkeyPatch):
    clock, engine = Clock(monkeypatch), OneThread()
    monkeypatch.setattr(engine, "run", clock.taking(10.0, engine.run))
    monkeypatch.setattr(writers, "write_volume", clock.taking(1.0, writers.write_volume))
    monkeypatch.setattr(writers, "write_overview", clock.taking(0.5, writers.write_overview))
    (case,) = find_cases(phantom_folder / "case_1")
    (outcome,) = run([replace(case, reader=clock.taking(100.0, case.reader))], engine, tmp_path)
    assert outcome.report is not None
    seconds = outcome.report["seconds"]
    assert list(seconds) == STAGES
    assert (seconds["read"], seconds["networks"], seconds["overview"]) == (100.0, 10.0, 0.5)
    assert seconds["write"] >= 1.0
    assert sum(seconds.values()) == clock.now


def test_no_more_cases_are_read_than_there_is_room_for(tmp_path: Path, phantom_folder: Path):
    begun: list[str] = []

    def counted(case: CaseRef) -> Case:
        begun.append(case.name)
        return original[case.name].read()

    original = {case.name: case for case in find_cases(phantom_folder)}
    most: list[int] = []
    cases = [replace(case, reader=counted) for case in original.values()]
    predict_cases(cases, Pipeline(OneThread(), CONFIG), tmp_path, lambda _: most.append(len(begun) - len(most)))
    assert begun == list(original)
    assert max(most) <= 3


def infer(folder: Path, out: Path, engine: OneThread, **options: Any) -> Cohort:
    return infer_cases(Pipeline(engine, CONFIG, BUNDLE), find_cases(folder), out, **options)


def test_a_cohort_is_in_the_order_of_its_cases(tmp_path: Path, phantom_folder: Path):
    seen: list[str] = []
    cohort = infer(phantom_folder, tmp_path, OneThread(fails=1), on_case=lambda outcome: seen.append(outcome.case))
    assert list(cohort.refused) == ["case_1"]
    assert [report["case"] for report in cohort.reports] == ["case_2", "case_3", "case_4"]
    assert seen == ["case_1", "case_2", "case_3", "case_4"]
    assert cohort.submission is None
    assert cohort.reports[0]["bundle"] == BUNDLE.bundle


def test_resuming_takes_over_what_this_bundle_has_done(tmp_path: Path, phantom_folder: Path):
    first = infer(phantom_folder, tmp_path, OneThread())
    (tmp_path / "case_2" / "report.json").write_text("{")  # a disk was full
    other = json.loads((tmp_path / "case_3" / "report.json").read_text())
    other["bundle"]["sha256"] = 64 * "1"
    (tmp_path / "case_3" / "report.json").write_text(json.dumps(other))
    engine = OneThread()
    again = infer(phantom_folder, tmp_path, engine, resume=True)
    assert engine.calls == 2
    assert [report["lesion"] for report in again.reports] == [report["lesion"] for report in first.reports]


def test_a_submission_refuses_a_case_before_it_is_read(
    tmp_path: Path, phantom_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = OneThread()
    monkeypatch.setattr(Submission, "admit", lambda _, name, mtt: damaged(mtt) if name == "case_2" else None)
    monkeypatch.setattr(Submission, "unfit", lambda *_: {})
    monkeypatch.setattr(Submission, "write", lambda _, __, masks: dict.fromkeys(masks, "x.nii"))
    cohort = infer(phantom_folder, tmp_path, engine, submission=Submission("mine"))
    assert engine.calls == 3
    assert list(cohort.refused) == ["case_2"]
    assert cohort.submission == tmp_path / "submission" / "mine.zip"
    for report in cohort.reports:
        assert report["submission"] == "submission/x.nii"
        assert report == json.loads((tmp_path / report["case"] / "report.json").read_text())


def test_the_log_has_a_line_a_case_and_no_name(tmp_path: Path, phantom_folder: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="ctpdeploy"):
        infer(phantom_folder, tmp_path, OneThread(fails=2))
    lines = [record.getMessage() for record in caplog.records if record.name == "ctpdeploy.runtime.cohort"]
    assert len(lines) == 4
    assert lines[1] == "case 2 of 4: refused, GuardError"
    assert "backend one thread, bundle 000000000000" in lines[0]
    assert "case_" not in "".join(lines)


@pytest.mark.parametrize("where", ["the cases", "a case", "in a case", "above", "a file"])
def test_results_never_take_the_place_of_a_patient(tmp_path: Path, phantom_folder: Path, where: str):
    shutil.copytree(phantom_folder / "case_1", tmp_path / "data" / "case_1")
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    case = find_cases(tmp_path / "data")
    out = {
        "the cases": tmp_path / "data",
        "a case": tmp_path / "data" / "case_1",
        "in a case": tmp_path / "data" / "case_1" / "results",
        "above": tmp_path,
        "a file": next(iter(case[0].files.values())),
    }[where]
    named = [replace(case[0], name="data")] if where == "above" else case
    engine = OneThread()
    with pytest.raises(UsageError, match="choose another --out"):
        infer_cases(Pipeline(engine, CONFIG, BUNDLE), named, out)
    assert engine.calls == 0
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


def test_files_given_may_lie_beside_the_results(tmp_path: Path, phantom_folder: Path):
    shutil.copytree(phantom_folder / "case_1", tmp_path / "case_1")
    files = dict(find_cases(tmp_path)[0].files)
    given = case_of_files("mine", files)
    assert len(infer_cases(Pipeline(OneThread(), CONFIG, BUNDLE), [given], tmp_path / "out").reports) == 1


@pytest.mark.parametrize("report", ["{", "[]", "null", '{"bundle": 1}', "another case's", "a mask is gone"])
def test_a_report_that_is_damaged_is_of_a_case_that_is_not_done(tmp_path: Path, phantom_folder: Path, report: str):
    infer(phantom_folder, tmp_path, OneThread())
    file = tmp_path / "case_2" / "report.json"
    if report == "another case's":
        file.write_text((tmp_path / "case_3" / "report.json").read_text())
    elif report == "a mask is gone":
        next(file.parent.glob("*mask*")).unlink()
    else:
        file.write_text(report)
    engine = OneThread()
    cohort = infer(phantom_folder, tmp_path, engine, resume=True)
    assert engine.calls == 1
    assert [found["case"] for found in cohort.reports] == ["case_1", "case_2", "case_3", "case_4"]
    assert not cohort.refused


def test_a_mask_that_cannot_be_submitted_refuses_its_case_alone(tmp_path: Path, phantom_folder: Path):
    found = find_cases(phantom_folder)
    cases = [replace(case, files={**case.files, "mtt": mtt_named(case, tmp_path)}) for case in found]
    nifti_cases.save(cases[1].files["mtt"], np.ones((8, 8, 2), np.float32))
    pipeline = Pipeline(OneThread(), CONFIG, BUNDLE)
    readers = {case.name: case for case in found}
    cases = [replace(case, reader=lambda ref: readers[ref.name].read()) for case in cases]
    cohort = infer_cases(pipeline, cases, tmp_path / "out", submission=Submission("mine"))
    assert list(cohort.refused) == ["case_2"]
    assert len(list((tmp_path / "out" / "submission").glob("*.nii"))) == 3


def mtt_named(case: CaseRef, folder: Path) -> Path:
    """A copy of the MTT map under a name by which the challenge knows it."""
    path = folder / f"SMIR.Brain.XX.O.CT_MTT.34560{case.name[-1]}.nii"
    shutil.copy(case.files["mtt"], path)
    return path
