"""Slices of a volume for display: cut to the head, in radiological convention.

The patient's right is on the left of the picture, the front at the top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.report.frame import Lines

__all__ = ["MAP_RANGES", "NOTICE", "TRUTH", "View", "outline"]

MAP_RANGES = {"cbf": 60.0, "cbv": 6.0, "mtt": 16.0, "tmax": 12.0}
"""Value of the last colour, in the units of the map; the first is 0."""

TRUTH, NOTICE = "#34c759", "#ffd60a"
"""Colours on black: of the lesion drawn on DWI, and of what must not be overlooked."""

_HEAD_ABOVE_HU = -300.0


@dataclass(frozen=True, kw_only=True)
class View:
    """The part of a volume to display: some slices, one above the other.

    Attributes:
        slices: their indices, from the top down.
        rows: rows shown.
        columns: columns shown.
        aspect: height of a voxel over its width.
    """

    slices: Sequence[int]
    rows: slice
    columns: slice
    aspect: float

    @classmethod
    def of(cls, case: Case, slices: Sequence[int]) -> "View":
        """These slices of a case, cut to where any slice has head."""
        head = case.series[0] > _HEAD_ABOVE_HU
        _, dy, dx = case.geometry.spacing
        return cls(
            slices=slices,
            rows=_extent(head.any(axis=(0, 2))),
            columns=_extent(head.any(axis=(0, 1))),
            aspect=dy / dx,
        )

    def montage(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Slices of ``(D, H, W)`` below one another; rows come from back to front, columns from left to right."""
        parts = [volume[z, self.rows, self.columns][::-1, ::-1] for z in self.slices]
        joined: NDArray[Any] = np.ma.vstack(parts)  # keeps the mask of the maps
        return joined


def outline(mask: BoolArray) -> Lines:
    """The borders of a mask ``(H, W)``, in its columns and rows: half way between the pixels inside and outside."""
    from contourpy import LineType, contour_generator

    generator = contour_generator(z=mask.astype(np.float64), line_type=LineType.ChunkCombinedOffset)
    found: Any = generator.lines(0.5)
    (points,), (starts,) = found
    if points is None:
        return Lines(points=np.empty((0, 2)), starts=[0])
    return Lines(points=points, starts=starts.tolist())


def _extent(occupied: BoolArray) -> slice:
    """From the first to the last true element, with a margin; everything if there is none."""
    where = np.flatnonzero(occupied)
    if not where.size:
        return slice(None)
    margin = 1 + len(occupied) // 40
    return slice(max(int(where[0]) - margin, 0), int(where[-1]) + margin + 1)
