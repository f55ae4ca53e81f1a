"""From the files of a case to the files of its result, stage by stage, on a pipeline that is warm."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ctpdeploy.runtime import Pipeline, Prediction, read_case, write_prediction
from ctpdeploy.runtime.cohort.run import infer_all
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
        prediction: what was found.
    """

    seconds: Mapping[str, float]
    wall: float
    predict: float
    prediction: Prediction

    @property
    def unaccounted(self) -> float:
        """Share of the wall time that no stage has; negative if stages overlap."""
        return 1.0 - sum(self.seconds.values()) / self.wall


def run_files(pipeline: Pipeline, folder: Path, out: Path) -> FileRun:
    """Read a case, predict, and write all that ``ctpdeploy infer`` writes.

    Args:
        pipeline: is warm.
        folder: of the case.
        out: folder of results.

    Raises:
        InputError, GuardError: as :func:`read_case` and :meth:`Pipeline.predict`.
    """
    start = time.perf_counter()
    case = read_case(folder)
    read = time.perf_counter() - start
    prediction = pipeline.predict(case)
    predicted = time.perf_counter() - start - read
    written = write_prediction(out, case, prediction, source={}, read_seconds=read)
    wall = time.perf_counter() - start
    report = json.loads((written / REPORT).read_text(encoding="utf-8"))
    return FileRun(seconds=report["seconds"], wall=wall, predict=predicted, prediction=prediction)


def run_folder(pipeline: Pipeline, folders: Sequence[Path], out: Path) -> float:
    """Run all cases as ``ctpdeploy infer`` does, whose stages overlap from case to case; returns seconds a case.

    Args:
        pipeline: is warm.
        folders: of cases of different names.
        out: folder of results.

    Raises:
        InputError, GuardError: as :func:`run_files`.
    """
    start = time.perf_counter()
    with infer_all([partial(read_case, folder) for folder in folders], pipeline, out, {}) as done:
        for written in done:
            written.result()
    return (time.perf_counter() - start) / len(folders)
