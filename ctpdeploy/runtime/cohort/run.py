"""Cases from disk to disk: resumed, admitted, predicted, written, or refused by name while the others go on.

While one case is at the networks, the next is read and the last is written. At most three are in memory, one in each
stage; the engine is used in the calling thread alone.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import CtpdeployError, UsageError
from ctpdeploy.runtime.cohort.stage_pipeline import run_stages
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.case_ref import CaseRef, by_name
from ctpdeploy.runtime.io.layout import GIVEN
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.report.submission import SUBMISSION, Submission
from ctpdeploy.runtime.report.writers import REPORT, result_folder, write_prediction

__all__ = ["CaseOutcome", "Cohort", "infer_cases", "predict_cases", "require_places"]

_log = logging.getLogger(__package__)


@dataclass(frozen=True, kw_only=True)
class CaseOutcome:
    """One case of a cohort, settled.

    Attributes:
        case: its name.
        report: content of its ``report.json``; None where it was refused.
        error: the reason why it was refused; None where it was not.
    """

    case: str
    report: dict[str, Any] | None = None
    error: Exception | None = None

    @property
    def refusal(self) -> str:
        """The reason in one sentence; an error that is not ours is named with its kind."""
        if self.error is None or isinstance(self.error, CtpdeployError):
            return str(self.error or "")
        return f"Unexpected {type(self.error).__name__} ({self.error}): please report it with the case's files."


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The outcomes of a run, in the order of its cases.

    Attributes:
        outcomes: one a case.
        submission: archive for the challenge, where one was requested and at least one case is in it.
    """

    outcomes: Sequence[CaseOutcome]
    submission: Path | None = None

    @property
    def reports(self) -> list[dict[str, Any]]:
        """Reports of the cases that were not refused."""
        return [outcome.report for outcome in self.outcomes if outcome.report is not None]

    @property
    def refused(self) -> dict[str, str]:
        """Reasons by the names of the cases that were refused."""
        return {outcome.case: outcome.refusal for outcome in self.outcomes if outcome.error is not None}


def infer_cases(
    pipeline: Pipeline,
    cases: Sequence[CaseRef],
    out: Path | str,
    *,
    resume: bool = False,
    submission: Submission | None = None,
    on_case: Callable[[CaseOutcome], None] | None = None,
) -> Cohort:
    """Find the lesions of cases.

    Any exception of one case is that case's refusal; the others go on.

    Args:
        pipeline: opened in this thread.
        cases: of different names.
        out: folder of results, one folder a case.
        resume: take over the results of cases that the same bundle has done already.
        submission: admits cases, or refuses them, before they are read; is written when all are done.
        on_case: called with each outcome as soon as it is known.

    Returns:
        The outcomes, with the report of each case that is done and the reason of each that is not.

    Raises:
        UsageError: two cases have one name, or results would lie in the place of a case's files or cannot be written.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100  links stay as they are
    named = require_places(cases, out, submission)
    outcomes: dict[str, CaseOutcome] = {}

    def settle(outcome: CaseOutcome) -> None:
        outcomes[outcome.case] = outcome
        _audit(len(outcomes), len(named), outcome)
        if on_case:
            on_case(outcome)

    for name, case in named.items():
        try:
            result_folder(out, name)
            if submission:
                case.require_sound()
                submission.admit(name, case.files.get("mtt"))
            done = _finished(out / name, pipeline) if resume else None
        except Exception as error:  # noqa: BLE001  of this case alone
            settle(CaseOutcome(case=name, error=error))
        else:
            if done:
                settle(CaseOutcome(case=name, report=done))
    left = [case for name, case in named.items() if name not in outcomes]
    predict_cases(left, pipeline, out, settle)
    archive = None
    if submission:
        masks = {name: _mask(out, outcome) for name, outcome in outcomes.items() if outcome.report}
        for name, reason in submission.unfit(masks).items():
            settle(CaseOutcome(case=name, error=reason))
            del masks[name]
        if masks:
            archive = _submit(submission, {name: outcomes[name].report or {} for name in masks}, masks, out)
    return Cohort(outcomes=[outcomes[name] for name in named], submission=archive)


def require_places(cases: Sequence[CaseRef], out: Path, submission: Submission | None = None) -> dict[str, CaseRef]:
    """Check where results will lie, which takes no time; :func:`infer_cases` begins with it.

    Returns:
        The cases by their names.

    Raises:
        UsageError: as :func:`infer_cases`.
    """
    named = by_name(cases)
    if submission and SUBMISSION in named:
        raise UsageError(f"A case called {SUBMISSION} would lie where the submission goes: rename the case.")
    _require_apart(named.values(), out)
    _require_writable(out)
    return named


def predict_cases(
    cases: Sequence[CaseRef], pipeline: Pipeline, out: Path, on_case: Callable[[CaseOutcome], None]
) -> None:
    """Read, predict and write cases, the stages of different cases at the same time.

    Seconds in a report are those of its own case's stages. Left by an exception, as an interruption, it ends when the
    case that is being written is whole.

    Args:
        cases: of different names.
        pipeline: opened in this thread.
        out: folder of results, one folder a case.
        on_case: called with each outcome, in the order of the cases.
    """

    def read(case: CaseRef) -> tuple[Case, float]:
        start = time.perf_counter()
        return case.read(pipeline.perfusion), time.perf_counter() - start

    def predict(read: tuple[Case, float]) -> tuple[Case, float, Prediction]:
        return *read, pipeline.predict(read[0])

    def write(predicted: tuple[Case, float, Prediction]) -> dict[str, Any]:
        case, seconds, prediction = predicted
        return _load(write_prediction(out, case, prediction, seconds={"read": seconds}) / REPORT)

    with run_stages(cases, read, predict, write) as futures:
        for case, future in zip(cases, futures, strict=True):
            error = future.exception()
            if error is None:
                on_case(CaseOutcome(case=case.name, report=future.result()))
            elif isinstance(error, Exception):
                on_case(CaseOutcome(case=case.name, error=error))
            else:
                raise error


def _finished(folder: Path, pipeline: Pipeline) -> dict[str, Any] | None:
    """The report of an earlier run of the same bundle whose files are all there, or None."""
    try:
        report = _load(folder / REPORT)
        whole = report["case"] == folder.name and all((folder / file).is_file() for file in report["outputs"].values())
        made_by = report["bundle"]["sha256"]
        report["lesion"]["volume_ml"], report["lesion"]["components"], report["engine"]["backend"]
        report["seconds"].items(), report["warnings"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    same = pipeline.provenance is not None and made_by == pipeline.provenance.bundle["sha256"]
    return report if same and whole else None


def _require_apart(cases: Iterable[CaseRef], out: Path) -> None:
    """Refuse results that would replace a patient's files, or lie among them and be taken for them the next time.

    Raises:
        UsageError: they would.
    """
    named = list(cases)
    targets = {(out / case.name).resolve() for case in named}
    around = {folder: target for target in targets for folder in (target, *target.parents)}
    for case in named:
        sources = [file.resolve() for file in case.files.values()]
        if case.layout != GIVEN:
            sources.append(folder := case.folder.resolve())
            if among := around.get(folder):
                raise UsageError(f"Results in {among} would lie in the folder of {case.name}: choose another --out.")
        for source in sources:
            if place := targets.intersection((source, *source.parents)):
                raise UsageError(f"Results in {place.pop()} would replace {source}: choose another --out.")


def _require_writable(out: Path) -> None:
    """Refuse a folder of results that cannot be written, before anything is computed.

    Raises:
        UsageError: it cannot.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
    try:
        with tempfile.TemporaryDirectory(prefix=".try.", suffix=".partial", dir=there):
            pass
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error


def _mask(out: Path, outcome: CaseOutcome) -> Path:
    report = outcome.report or {}
    return out / outcome.case / str(report["outputs"]["mask"])


def _submit(
    submission: Submission, reports: Mapping[str, dict[str, Any]], masks: Mapping[str, Path], out: Path
) -> Path:
    """Write the submission, then name each case's file in its report, in memory and on disk."""
    files = submission.write(out / SUBMISSION, masks)
    for name, report in reports.items():
        report["submission"] = f"{SUBMISSION}/{files[name]}"
        with atomic_replace(out / name / REPORT) as partial:
            partial.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return out / SUBMISSION / f"{submission.name}.zip"


def _load(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def _audit(number: int, total: int, outcome: CaseOutcome) -> None:
    """A line for each case, by its number: names can be those of patients."""
    if outcome.report is None:
        _log.warning("case %d of %d: refused, %s", number, total, type(outcome.error).__name__)
        return
    report: Mapping[str, Any] = outcome.report
    _log.info(
        "case %d of %d: lesion %s ml, backend %s, bundle %s, findings %s",
        number,
        total,
        report["lesion"]["volume_ml"],
        report["engine"]["backend"],
        report.get("bundle", {}).get("sha256", "none")[:12],
        ",".join(found["code"] for found in report.get("findings", ())) or "none",
    )
