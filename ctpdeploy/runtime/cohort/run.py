"""Cases from disk to disk: resumed, admitted, predicted, written, or refused by name while the others go on.

While one case is at the networks, the next is read and the last is written. At most three are in memory, one in each
stage; the engine is used in the calling thread alone.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctpdeploy import __version__
from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import InputError, UsageError, sentence_of
from ctpdeploy.runtime.cohort.dicom_results import OF_DICOM_STUDIES, DicomResults
from ctpdeploy.runtime.cohort.places import EARLIER, put_aside, require_places
from ctpdeploy.runtime.cohort.seal import InputState, seal, seal_holds
from ctpdeploy.runtime.cohort.stage_pipeline import run_stages
from ctpdeploy.runtime.data.case import Case, MapsWanted
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.report.submission import SUBMISSION, Submission
from ctpdeploy.runtime.report.writers import DIGESTS, REPORT, result_folder, write_prediction
from ctpdeploy.scratch import sweep

__all__ = ["CaseOutcome", "Cohort", "infer_cases", "predict_cases"]

_log = logging.getLogger(__package__)


@dataclass(frozen=True, kw_only=True)
class CaseOutcome:
    """One case of a cohort, settled.

    Attributes:
        case: its name.
        report: content of its ``report.json``; None where it was refused.
        error: the reason why it was refused; None where it was not.
        earlier: one sentence on where the result of an earlier run is now, of a case that was refused; empty where
            there is none.
    """

    case: str
    report: dict[str, Any] | None = None
    error: Exception | None = None
    earlier: str = ""

    @property
    def refusal(self) -> str:
        """The reason in one sentence, an error that is not ours named with its kind; then ``earlier``."""
        reason = "" if self.error is None else sentence_of(self.error)
        return f"{reason} {self.earlier}".rstrip()


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
    dicom: DicomResults = OF_DICOM_STUDIES,
    on_case: Callable[[CaseOutcome], None] | None = None,
) -> Cohort:
    """Find the lesions of cases.

    Any exception of one case is that case's refusal; the others go on. What stands under a case's name is always of
    the last run that took it: the earlier result of a case that is refused is moved to ``out/earlier``.

    Args:
        pipeline: opened in this thread.
        cases: of different names.
        out: folder of results, one folder a case.
        resume: take over results that are whole, unharmed, and made by this version, bundle and backend of files with
            the same contents, and of the same DICOM series of them.
        submission: admits cases, or refuses them, before they are read; is written when all are done.
        dicom: of which cases DICOM objects are written.
        on_case: called with each outcome as soon as it is known.

    Returns:
        The outcomes, with the report of each case that is done and the reason of each that is not.

    Raises:
        UsageError: as :func:`ctpdeploy.runtime.cohort.places.require_places`.
        MissingPackageError: DICOM objects are to be written, and the package that makes them is not installed.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100  links stay as they are
    named = require_places(cases, out, submission)
    dicom.require_package(cases)
    for folder in (out, out / EARLIER):
        sweep(folder)
    outcomes: dict[str, CaseOutcome] = {}

    def settle(outcome: CaseOutcome) -> None:
        if outcome.error is not None and outcome.case not in outcomes:  # else what is there is of this run
            outcome = replace(outcome, earlier=_put_aside(out, outcome.case))
        outcomes[outcome.case] = outcome
        _audit(len(outcomes), len(named), outcome)
        if on_case:
            on_case(outcome)

    for name, case in named.items():
        try:
            case.require_sound()
            dicom.of(case)
            if submission:
                submission.admit(name, case.files.get("mtt"))
            done = _finished(out / name, case, pipeline, dicom) if resume else None
            if not done:
                result_folder(out, name)
        except Exception as error:  # noqa: BLE001  of this case alone
            settle(CaseOutcome(case=name, error=error))
        else:
            if done:
                settle(CaseOutcome(case=name, report=done))
    left = [case for name, case in named.items() if name not in outcomes]
    predict_cases(left, pipeline, out, settle, dicom=dicom)
    archive = None
    if submission:
        masks = {name: _mask(out, outcome) for name, outcome in outcomes.items() if outcome.report}
        for name, reason in submission.unfit(masks).items():
            settle(CaseOutcome(case=name, error=reason))
            del masks[name]
        if masks:
            archive = _submit(submission, {name: outcomes[name].report or {} for name in masks}, masks, out)
    return Cohort(outcomes=[outcomes[name] for name in named], submission=archive)


def predict_cases(
    cases: Sequence[CaseRef],
    pipeline: Pipeline,
    out: Path,
    on_case: Callable[[CaseOutcome], None],
    *,
    dicom: DicomResults = OF_DICOM_STUDIES,
) -> None:
    """Read, predict and write cases, the stages of different cases at the same time.

    Seconds in a report are those of its own case's stages. Left by an exception, as an interruption, it ends when the
    case that is being written is whole.

    Args:
        cases: of different names.
        pipeline: opened in this thread.
        out: folder of results, one folder a case.
        on_case: called with each outcome, in the order of the cases.
        dicom: of which cases DICOM objects are written.
    """

    def read(case: CaseRef) -> _Read:
        start = time.perf_counter()
        case.require_sound()  # its files may have become pipes
        state = _state(case)
        content = case.read(pipeline.perfusion)
        state.require_same()
        return _Read(case=content, digests=state.digests, dicom=dicom.of(case), seconds=time.perf_counter() - start)

    def predict(read: _Read) -> tuple[_Read, Prediction]:
        return read, pipeline.predict(read.case)

    def write(predicted: tuple[_Read, Prediction]) -> dict[str, Any]:
        read, prediction = predicted
        report: dict[str, Any] = {}

        def complete(folder: Path) -> None:
            report.update(_load(folder / REPORT))
            with suppress(OSError):  # a result without a seal is whole, and --resume makes it again
                seal(folder, read.digests)

        try:
            write_prediction(
                out,
                read.case,
                prediction,
                seconds={"read": read.seconds},
                dicom=read.dicom,
                fractional=dicom.fractional,
                complete=complete,
            )
            return report
        except OSError as error:
            name, reason = read.case.identifier, error.strerror or str(error)
            raise UsageError(
                f"{name} cannot be written to {out} ({reason}): make room, or choose another --out."
            ) from error

    with run_stages(cases, read, predict, write) as futures:
        for case, future in zip(cases, futures, strict=True):
            error = future.exception()
            if error is None:
                on_case(CaseOutcome(case=case.name, report=future.result()))
            elif isinstance(error, Exception):
                on_case(CaseOutcome(case=case.name, error=error))
            else:
                raise error


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A case in memory, the digests of its files, whether it gets DICOM results, and the seconds that reading took."""

    case: Case
    digests: Mapping[str, str]
    dicom: bool
    seconds: float


def _state(case: CaseRef) -> InputState:
    try:
        return InputState(case.files, case.found)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): check the path.") from error


def _finished(folder: Path, case: CaseRef, pipeline: Pipeline, dicom: DicomResults) -> dict[str, Any] | None:
    """The report of an earlier run that gave what this one would give, all of it still there; or None."""
    try:
        report = _load(folder / REPORT)
        made_by = (report["case"], report["ctpdeploy"], report["bundle"]["sha256"], report["engine"]["backend"])
        report["lesion"]["volume_ml"], report["lesion"]["components"], report["outputs"]["mask"]
        report["seconds"].items(), report["warnings"]
        if pipeline.provenance is None or made_by != (
            *(case.name, __version__, pipeline.provenance.bundle["sha256"]),
            pipeline.engine.info.backend,
        ):
            return None
        told = _interval_of(report), _maps_of(report)
        same = told == (case.frame_interval, case.maps) and dicom.are_in(report, case)
        return report if same and seal_holds(folder, case.files, case.found) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _interval_of(report: Mapping[str, Any]) -> float | None:
    """The frame interval that a result was told, whatever its files state."""
    found = report["input"]
    return found["frame_interval_s"] if found["frame_interval_source"] == "frame_interval" else None


def _maps_of(report: Mapping[str, Any]) -> MapsWanted:
    """The maps that a result was told to have."""
    return "computed" if any(found["code"] == "maps-set-aside" for found in report["findings"]) else "given"


def _put_aside(out: Path, name: str) -> str:
    """Move the earlier result of a case that was refused; one sentence on where it is, empty where there is none."""
    try:
        earlier = put_aside(out, name)
    except (OSError, UsageError) as error:
        return f"Its earlier result in {out / name} is not of this run and could not be moved. {error}"
    return f"Its earlier result is in {earlier} now." if earlier else ""


def _mask(out: Path, outcome: CaseOutcome) -> Path:
    report = outcome.report or {}
    return out / outcome.case / str(report["outputs"]["mask"])


def _submit(
    submission: Submission, reports: Mapping[str, dict[str, Any]], masks: Mapping[str, Path], out: Path
) -> Path:
    """Write the submission, then name each case's file in its report, in memory and on disk."""
    files = submission.write(out / SUBMISSION, masks)
    for name, report in reports.items():
        if _load(out / name / REPORT) != report:
            continue  # another run has put its own there meanwhile
        report["submission"] = f"{SUBMISSION}/{files[name]}"
        with atomic_replace(out / name / REPORT) as partial:
            partial.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        with suppress(OSError):
            seal(out / name, _load(out / name / DIGESTS)["inputs"])
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
