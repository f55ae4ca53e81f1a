"""Banded matrices: those of :mod:`ctpdeploy.runtime.preprocess.network_grid`, without their zeros."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.preprocess.network_grid import Axis, NetworkGrid

__all__ = ["Bands", "from_network", "to_network"]


@dataclass(frozen=True, kw_only=True)
class Bands:
    """A ``(size_out, size_in)`` matrix whose rows are zero but for a few neighbouring columns.

    Attributes:
        first: the first of these columns, int32 ``(size_out,)``.
        weights: their values, float32 ``(size_out, taps)``, zeros where a row has fewer.
        identity: whether the matrix changes nothing.
    """

    first: NDArray[np.int32]
    weights: NDArray[np.float32]
    identity: bool

    @classmethod
    def of(cls, matrix: NDArray[np.float32]) -> "Bands":
        """The bands of a matrix; those at its right end begin earlier, so that none reaches beyond it."""
        size_out, size_in = matrix.shape
        filled = matrix != 0
        start = np.where(filled.any(axis=1), filled.argmax(axis=1), 0)
        end = np.where(filled.any(axis=1), size_in - filled[:, ::-1].argmax(axis=1), 0)
        taps = max(1, int((end - start).max()))
        first = np.minimum(start, size_in - taps)
        return cls(
            first=first.astype(np.int32),
            weights=np.take_along_axis(matrix, first[:, None] + np.arange(taps), axis=1),
            identity=size_out == size_in and np.array_equal(matrix, np.eye(size_in)),
        )


def to_network(grid: NetworkGrid) -> tuple[Bands, Bands]:
    """Rows and columns of :meth:`NetworkGrid.resample`."""
    rows, columns = grid.rows_and_columns
    return _bands(rows), _bands(columns)


def from_network(grid: NetworkGrid) -> tuple[Bands, Bands]:
    """Rows and columns of :meth:`NetworkGrid.restore`."""
    rows, columns = grid.rows_and_columns
    return _bands(rows.back), _bands(columns.back)


@lru_cache(maxsize=16)
def _bands(axis: Axis) -> Bands:
    return Bands.of(axis.matrix())
