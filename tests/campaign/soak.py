"""The soak: many cases through one process, whose memory, descriptors and threads may not grow with them."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctpdeploy.runtime import CaseRef, Pipeline, infer_cases

PAGE = os.sysconf("SC_PAGE_SIZE")
MOST_MB_A_HUNDRED = 2.0
"""Growth that counts as none: an allocator keeps what it was given, and gives it back when it likes."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A process after some cases.

    Attributes:
        cases: that it has done.
        rss_mb: resident memory.
        descriptors: open files.
        threads: alive.
    """

    cases: int
    rss_mb: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls, cases: int, process: int | str = "self") -> "Reading":
        """Of a process, all threads that the system knows; of this one, if none is given, Python's."""
        place = Path("/proc") / str(process)
        return cls(
            cases=cases,
            rss_mb=int((place / "statm").read_text().split()[1]) * PAGE / 2**20,
            descriptors=len(list((place / "fd").iterdir())),
            threads=threading.active_count() if process == "self" else len(list((place / "task").iterdir())),
        )


def soak(
    pipeline: Pipeline,
    cases: Sequence[CaseRef],
    out: Path,
    *,
    count: int,
    every: int = 10,
    on_reading: Callable[[Reading], None] = lambda _: None,
) -> list[Reading]:
    """Readings as cases go through, again and again, results written over results."""
    readings = []
    for done in range(0, count, every):
        for index in range(done, min(done + every, count)):
            cohort = infer_cases(pipeline, [cases[index % len(cases)]], out)
            if cohort.refused:
                raise AssertionError(cohort.refused)
        readings.append(Reading.now(min(done + every, count)))
        on_reading(readings[-1])
    return readings


def growth(readings: Sequence[Reading]) -> dict[str, float]:
    """Growth in the later half: MB of memory a hundred cases, descriptors and threads."""
    half = readings[len(readings) // 2 :]
    slope = np.polyfit([one.cases for one in half], [one.rss_mb for one in half], 1)[0]
    return {
        "rss_mb_a_hundred": round(100 * float(slope), 3),
        "descriptors": half[-1].descriptors - half[0].descriptors,
        "threads": half[-1].threads - half[0].threads,
    }


def has_grown(readings: Sequence[Reading]) -> bool:
    """Whether a process grows with what it does."""
    found = growth(readings)
    return found["rss_mb_a_hundred"] > MOST_MB_A_HUNDRED or found["descriptors"] > 0 or found["threads"] > 0
