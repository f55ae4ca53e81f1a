"""From the files of a case to the files of its result, stage by stage, on a pipeline that is warm."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpdeploy.runtime import CaseRef, Pipeline, Prediction, write_prediction
from ctpdeploy.runtime.cohort.run import CaseOutcome, predict_cases
from ctpdeploy.runtime.report.writers import REPORT

__all__ = ["UNACCOUNTED", "FileRun", "run_files", "run_folder"]

UNACCOUNTED: Final = 0.02
"""Share of the wall time by which the stages may miss it."""


@dataclass(frozen=True, kw_only=True)
class FileRun:
    """One case, once.

    Attributes:
        seconds: of each stage, as the report on disk has them, in the order in which they ran.
        wall: seconds from the first byte read to the last file in place, by a clock of its own.
        predict: of these from the case in memory to its mask in memory.
        prediction: of the case.
    """

    seconds: Mapping[str, float]
    wall: float
    predict: float
    prediction: Prediction

    @property
    def unaccounted(self) -> float:
        """Share of the wall time that no stage has; negative if stages overlap."""
        return 1.0 - sum(self.seconds.values()) / self.wall


def run_files(pipeline: Pipeline, ref: CaseRef, out: Path) -> FileRun:
    """Read a case, predict, and write all that ``ctpdeploy infer`` writes.

    Args:
        pipeline: is warm.
        ref: of the case.
        out: folder of results.

    Raises:
        InputError, GuardError: as :meth:`CaseRef.read` and :meth:`Pipeline.predict`.
    """
    start = time.perf_counter()
    case = ref.read(pipeline.perfusion)
    read = time.perf_counter() - start
    prediction = pipeline.predict(case)
    predicted = time.perf_counter() - start - read
    written = write_prediction(out, case, prediction, seconds={"read": read})
    wall = time.perf_counter() - start
    report = json.loads((written / REPORT).read_text(encoding="utf-8"))
    return FileRun(seconds=report["seconds"], wall=wall, predict=predicted, prediction=prediction)


def run_folder(pipeline: Pipeline, cases: Sequence[CaseRef], out: Path) -> float:
    """Run all cases as ``ctpdeploy infer`` does, whose stages overlap from case to case; returns seconds a case.

    Args:
        pipeline: is warm.
        cases: of different names.
        out: folder of results.

    Raises:
        InputError, GuardError: as :func:`run_files`.
    """
    start = time.perf_counter()
    predict_cases(cases, pipeline, out, _require)
    return (time.perf_counter() - start) / len(cases)


def _require(outcome: CaseOutcome) -> None:
    if outcome.error is not None:
        raise outcome.error
