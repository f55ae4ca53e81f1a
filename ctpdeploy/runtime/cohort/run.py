"""Cases from disk to disk: while one is at the networks, the next is read and the last is written.

At most three cases are in memory, one in each stage. The engine is used in the calling thread alone.
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

from ctpdeploy.runtime.cohort.stage_pipeline import run_stages
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.report.writers import write_prediction

__all__ = ["infer_all"]


def infer_all(
    readers: Iterable[Callable[[], Case]], pipeline: Pipeline, out: Path, source: Mapping[str, Any]
) -> "closing[Generator[Future[Path], None, None]]":
    """Read, predict and write cases.

    Stages of different cases run at the same time; the seconds in a report are those of its own case's stages.

    Args:
        readers: each reads a case; called in a thread of its own.
        pipeline: what finds the lesions, in the thread that opened it.
        out: folder of results, one folder a case.
        source: as for :func:`ctpdeploy.runtime.report.writers.write_prediction`.

    Returns:
        As :func:`ctpdeploy.runtime.cohort.stage_pipeline.run_stages`: for each case the folder of its results, or why
        there is none.
        Left early, as by an interruption, it ends when the case that is being written is whole.
    """

    def read(reader: Callable[[], Case]) -> tuple[Case, float]:
        start = time.perf_counter()
        case = reader()
        return case, time.perf_counter() - start

    def predict(read: tuple[Case, float]) -> tuple[Case, float, Prediction]:
        return *read, pipeline.predict(read[0])

    def write(found: tuple[Case, float, Prediction]) -> Path:
        case, read_seconds, prediction = found
        return write_prediction(out, case, prediction, source=source, read_seconds=read_seconds)

    return run_stages(readers, read, predict, write)
