"""The networks' grid: which pixels of a case's slices the networks see, and the way there and back.

Either the whole slice, as large as it fits, or a field of fixed size in mm around the head, in which a millimetre is
the same number of pixels on every scanner and no pixel is spent on air. Slices stay slices: only rows and columns
change, by linear interpolation along each, as matrices.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.perfusion.brain import brain_mask

__all__ = ["NetworkGrid", "triangle"]

COARSE_MM: Final = 2.0
"""Pixels in which the brain is looked for, at most: it takes a sixteenth of the time on a slice of 512 x 512, and the
middle of its outline moves by a millimetre."""

Outline: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""First and last row, first and last column."""

_OUTLINES: WeakKeyDictionary[Case, Outline | None] = WeakKeyDictionary()
"""Of the cases that there are: the way to the networks, the way back and the findings all ask for it."""


@dataclass(frozen=True, kw_only=True)
class NetworkGrid:
    """Rows and columns of the networks' pixels among those of a case, both counted from 0.

    Attributes:
        shape: rows and columns of the grid.
        case_shape: those of the case.
        steps: size of a network pixel in rows and columns of the case.
        starts: where the first network pixel has its middle, in rows and columns of the case.
        beyond_mm: how far the brain reaches beyond the grid, in mm; 0 where all of it is on the grid.
    """

    shape: tuple[int, int]
    case_shape: tuple[int, int]
    steps: tuple[float, float]
    starts: tuple[float, float]
    beyond_mm: float = 0.0

    @classmethod
    def of_slice(cls, case: Case, shape: tuple[int, int]) -> "NetworkGrid":
        """The whole slice, centred, in square pixels as small as cropping nothing allows."""
        case_shape, spacing = _plane(case)
        side = max(n * mm / pixels for n, mm, pixels in zip(case_shape, spacing, shape, strict=True))
        steps = _steps(side, spacing)
        row, column = ((n - 1) / 2 - (p - 1) / 2 * s for n, p, s in zip(case_shape, shape, steps, strict=True))
        return cls(shape=shape, case_shape=case_shape, steps=steps, starts=(row, column))

    @classmethod
    def of_head(cls, case: Case, shape: tuple[int, int], pixel_mm: float) -> "NetworkGrid":
        """Pixels of ``pixel_mm`` around the middle of the brain's outline; of the slice's where no brain is seen.

        The first pixel lies on one of the case, so that nothing is interpolated where the sizes agree.
        """
        case_shape, spacing = _plane(case)
        steps, outline = _steps(pixel_mm, spacing), _brain_outline(case)
        middles = [(n - 1) / 2 for n in case_shape] if outline is None else [(low + high) / 2 for low, high in outline]
        row, column = (
            float(np.floor(middle - (pixels - 1) / 2 * step + 0.5))
            for middle, pixels, step in zip(middles, shape, steps, strict=True)
        )
        grid = cls(shape=shape, case_shape=case_shape, steps=steps, starts=(row, column))
        return grid if outline is None else replace(grid, beyond_mm=grid._beyond(outline, spacing))

    def _beyond(self, outline: "Outline", spacing: tuple[float, float]) -> float:
        """How far an outline reaches beyond the grid, in mm."""
        beyond = 0.0
        for (low, high), axis, mm in zip(outline, self.rows_and_columns, spacing, strict=True):
            first = axis.start - axis.step / 2
            beyond = max(beyond, (first - low) * mm, (high - first - axis.size_out * axis.step) * mm)
        return beyond

    @property
    def rows_and_columns(self) -> tuple["Axis", "Axis"]:
        """The way to the grid along each axis."""
        sizes = zip(self.case_shape, self.shape, self.steps, self.starts, strict=True)
        rows, columns = (Axis(*axis) for axis in sizes)
        return rows, columns

    def resample(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(D, H, W)`` of the case on the grid, ``(D, *shape)``; the volume itself where that changes nothing.

        Outside the slice the result is 0, the scaled value of air.
        """
        return _along(volume, *self.rows_and_columns)

    def restore(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """The way back: ``(D, *shape)`` in the voxels of the case, ``(D, H, W)``; 0 outside the grid."""
        rows, columns = self.rows_and_columns
        return _along(volume, rows.back, columns.back)


@dataclass(frozen=True)
class Axis:
    """One axis of a resampling.

    Attributes:
        size_in: pixels that there are.
        size_out: pixels that are made.
        step: size of a pixel made, in pixels that there are.
        start: where the first one has its middle, among them.
    """

    size_in: int
    size_out: int
    step: float
    start: float

    @property
    def back(self) -> "Axis":
        """The way back."""
        return Axis(self.size_out, self.size_in, 1 / self.step, -self.start / self.step)

    @property
    def changes_nothing(self) -> bool:
        """Whether each pixel made is the one that there is."""
        return self.size_in == self.size_out and self.step == 1.0 and self.start == 0.0

    def matrix(self) -> NDArray[np.float32]:
        """See :func:`triangle`."""
        return triangle(self.size_in, self.size_out, self.step, self.start)


@lru_cache(maxsize=16)
def triangle(size_in: int, size_out: int, step: float, start: float) -> NDArray[np.float32]:
    """Linear interpolation as a ``(size_out, size_in)`` matrix, widened to a low-pass filter when it shrinks.

    ``step`` is the size of an output pixel in input pixels, ``start`` the place of the first one among them. All
    volumes of a case share one, which nobody can write to.
    """
    middle = start + np.arange(size_out) * step
    distance = np.abs(np.arange(size_in)[None, :] - middle[:, None])
    weight = np.clip(1.0 - distance / max(step, 1.0), 0.0, None)
    total = weight.sum(axis=1, keepdims=True)
    matrix = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _along(volume: NDArray[np.float32], rows: Axis, columns: Axis) -> NDArray[np.float32]:
    """``rows @ slice @ columns.T`` for each slice."""
    if rows.changes_nothing and columns.changes_nothing:
        return volume
    return np.asarray(rows.matrix() @ volume @ columns.matrix().T, dtype=np.float32)


def _plane(case: Case) -> tuple[tuple[int, int], tuple[float, float]]:
    """Rows and columns of a case, and their distances in mm."""
    height, width = case.series.shape[2:]
    return (height, width), case.geometry.spacing[1:]


def _steps(side: float, spacing: tuple[float, float]) -> tuple[float, float]:
    """A pixel of ``side`` mm in rows and columns of a case."""
    return round(side / spacing[0], 9), round(side / spacing[1], 9)  # 1 but for rounding is 1: nothing is resampled


def _brain_outline(case: Case) -> Outline | None:
    """First and last row and column with brain in any slice; None where none has any. Looked for once a case."""
    if case not in _OUTLINES:
        _OUTLINES[case] = _found_outline(case)
    return _OUTLINES[case]


def _found_outline(case: Case) -> Outline | None:
    _, spacing = _plane(case)
    thin = [max(1, int(COARSE_MM / mm)) for mm in spacing]
    image = case.series[0, :, :: thin[0], :: thin[1]].astype(np.float32)
    coarse = (case.geometry.spacing[0], spacing[0] * thin[0], spacing[1] * thin[1])
    brain = brain_mask(image, coarse)
    if not brain.any():
        return None
    rows, columns = np.flatnonzero(brain.any(axis=(0, 2))) * thin[0], np.flatnonzero(brain.any(axis=(0, 1))) * thin[1]
    return (float(rows[0]), float(rows[-1])), (float(columns[0]), float(columns[-1]))
