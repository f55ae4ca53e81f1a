"""The part of the field of view that holds the head. All around it is air, which nothing has to be computed for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Crop"]

MARGIN = 3
"""Pixels of air kept around the head: more than the point spread function reaches."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Rows and columns out of a field of ``shape`` (H, W)."""

    rows: slice
    columns: slice
    shape: tuple[int, int]

    @classmethod
    def around(cls, mask: NDArray[np.bool_]) -> "Crop":
        """The smallest that holds a mask ``(D, H, W)`` with a margin; the whole field if the mask is empty."""
        height, width = mask.shape[1:]
        rows, columns = (_span(np.asarray(mask.any(axis=axes))) for axes in ((0, 2), (0, 1)))
        return cls(rows=rows, columns=columns, shape=(height, width))

    def within(self, outer: "Crop") -> "Crop":
        """The same part of a larger field, of which ``outer`` is the part that this one's field is."""
        rows, columns = (
            slice(inner.start + start, inner.stop + start)
            for inner, start in ((self.rows, outer.rows.start), (self.columns, outer.columns.start))
        )
        return Crop(rows=rows, columns=columns, shape=outer.shape)

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of ``(..., H, W)``, contiguous."""
        return np.ascontiguousarray(array[..., self.rows, self.columns])

    def paste(self, array: NDArray[Any], around: float = 0.0) -> NDArray[Any]:
        """The field ``(..., H, W)`` with the part put back, and ``around`` outside it."""
        field = np.full((*array.shape[:-2], *self.shape), around, dtype=array.dtype)
        field[..., self.rows, self.columns] = array
        return field


def _span(occupied: NDArray[np.bool_]) -> slice:
    """From the first to the last that is occupied, with the margin."""
    places = np.flatnonzero(occupied)
    if not places.size:
        return slice(0, len(occupied))
    return slice(max(int(places[0]) - MARGIN, 0), min(int(places[-1]) + 1 + MARGIN, len(occupied)))
