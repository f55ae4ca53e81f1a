"""Summaries of repeated measurements, and ratios between what was measured in the same rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["COUNT_RULE", "Quantiles", "median_ratio"]

COUNT_RULE: Final = "p95 from 20 values on, p99 from 100: there must be a value beyond it."

_NEEDED: Final = {95: 20, 99: 100}


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """What repeated measurements say.

    Attributes:
        count: how many there were.
        least: the smallest.
        p50: the median.
        p95: 95th percentile; None from fewer than 20.
        p99: 99th percentile; None from fewer than 100.
    """

    count: int
    least: float
    p50: float
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quantiles":
        """Summarise at least one value."""
        tails = {
            percentile: float(np.percentile(values, percentile)) if len(values) >= needed else None
            for percentile, needed in _NEEDED.items()
        }
        return cls(
            count=len(values), least=float(min(values)), p50=float(np.median(values)), p95=tails[95], p99=tails[99]
        )


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median over rounds of the ratio within a round, which other load disturbs least.

    Raises:
        ValueError: there are not as many of both.
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} rounds cannot be compared with {len(denominators)}")
    return float(np.median(np.asarray(numerators) / np.asarray(denominators)))
