"""Reliability of a probability: of the voxels that are said to be lesion with 30 %, are 30 %?

Voxels are counted by their probability, and counts of cases add up. In rows of equal width, of row b with n_b voxels,
mean probability p_b and share of lesion f_b::

    expected calibration error = sum over b of n_b abs(p_b - f_b) / sum over b of n_b

And in ``BINS`` fine bins of equal width of ``log(p / (1 - p))``, as networks crowd near 0 and 1: these serve the
average precision of the voxels of all cases together, in which what falls into one bin is a tie.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.metrics.average_precision import precision_of_counts

__all__ = ["BINS", "Reliability", "ReliabilityBin"]

ROWS: Final = 10
BINS: Final = 10_000
_REACH: Final = 17.0
"""Greatest log odds that are told apart; 1 - p is 4e-8 there, and float32 has nothing between that and 1."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """A row of the table.

    Attributes:
        above: least probability of the bin.
        up_to: greatest.
        voxels: in it.
        probability: their mean; NaN without a voxel.
        lesion: share of them that is lesion; NaN without a voxel.
    """

    above: float
    up_to: float
    voxels: int
    probability: float
    lesion: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Numbers of voxels by their probability.

    Attributes:
        rows: number of voxels, of those of lesion, and sum of the probabilities in each row, float64 ``(3, ROWS)``.
        bins: number of voxels and of those of lesion in each fine bin, int64 ``(2, BINS)``.
    """

    rows: NDArray[np.float64]
    bins: NDArray[np.int64]

    @classmethod
    def of(cls, probability: FloatArray, truth: BoolArray, inside: BoolArray) -> Self:
        """Count the voxels of a case.

        Args:
            probability: in [0, 1], of any shape.
            truth: of the same shape.
            inside: the voxels that count, of the same shape.
        """
        values, lesion = np.clip(probability[inside].astype(np.float64), 0.0, 1.0), truth[inside]
        row = np.minimum((values * ROWS).astype(np.int64), ROWS - 1)
        odds = np.clip(special.logit(values), -_REACH, _REACH)
        fine = np.minimum(((odds / _REACH + 1.0) / 2.0 * BINS).astype(np.int64), BINS - 1)
        weighted = [np.bincount(row, weights, minlength=ROWS) for weights in (None, lesion, values)]
        return cls(
            rows=np.stack(weighted).astype(np.float64),
            bins=np.stack([np.bincount(of, minlength=BINS) for of in (fine, fine[lesion])]),
        )

    @classmethod
    def nothing(cls) -> Self:
        """That of no voxel."""
        return cls(rows=np.zeros((3, ROWS)), bins=np.zeros((2, BINS), np.int64))

    def __add__(self, other: "Reliability") -> "Reliability":
        """That of two cases together."""
        return Reliability(rows=self.rows + other.rows, bins=self.bins + other.bins)

    def table(self) -> tuple[ReliabilityBin, ...]:
        """Rows from the least probability to the greatest."""
        return tuple(
            ReliabilityBin(
                above=number / ROWS,
                up_to=(number + 1) / ROWS,
                voxels=round(voxels),
                probability=probability / voxels if voxels else math.nan,
                lesion=lesion / voxels if voxels else math.nan,
            )
            for number, (voxels, lesion, probability) in enumerate(self.rows.T.tolist())
        )

    def expected_calibration_error(self) -> float:
        """A fraction; NaN without a voxel."""
        rows = [row for row in self.table() if row.voxels]
        total = sum(row.voxels for row in rows)
        return sum(row.voxels * abs(row.probability - row.lesion) for row in rows) / total if total else math.nan

    def average_precision(self) -> float:
        """That of all voxels together; NaN without lesion."""
        voxels, lesion = self.bins[:, ::-1]  # the greatest first
        return precision_of_counts(lesion, voxels)
