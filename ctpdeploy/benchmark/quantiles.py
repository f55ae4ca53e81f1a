"""Summaries of repeated measurements, and ratios between what was measured in the same rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["COUNT_RULE", "Quantiles"]

COUNT_RULE: Final = "p95 from 20 values on, p99 from 100: there must be a value beyond it."

_NEEDED: Final = {95: 20, 99: 100}


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Quantiles of repeated measurements.

    Attributes:
        count: how many there were.
        least: the smallest.
        greatest: the largest. Where values are independent, the two enclose the median of what they are drawn from with
            a confidence of 1 - 2^(1 - count): 94 % for 5, 98 % for 7.
        p50: the median.
        p95: 95th percentile; None from fewer than 20.
        p99: 99th percentile; None from fewer than 100.
    """

    count: int
    least: float
    greatest: float
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
            count=len(values),
            least=float(min(values)),
            greatest=float(max(values)),
            p50=float(np.median(values)),
            p95=tails[95],
            p99=tails[99],
        )

    @classmethod
    def of_ratio(cls, numerators: Sequence[float], denominators: Sequence[float]) -> "Quantiles":
        """Summarise the ratio within a round, which other load disturbs least, over rounds.

        Raises:
            ValueError: there are not as many of both.
        """
        if len(numerators) != len(denominators):
            raise ValueError(f"{len(numerators)} rounds cannot be compared with {len(denominators)}")
        return cls.of([above / below for above, below in zip(numerators, denominators, strict=True)])
