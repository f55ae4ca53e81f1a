"""Blocks of a series: means over squares of some 8 mm, which hardly know of noise, and those that lie in the brain."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.quality.movement import displacements

__all__ = ["BLOCK_MM", "Blocks"]

_PIXEL_MM: Final = 1.8
"""Finer images are thinned out: what is averaged over blocks does not need every pixel."""

BLOCK_MM: Final = 8.0
"""Side of a block."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A series seen coarsely.

    Attributes:
        step: every how many rows and columns of the series are looked at.
        size: pixels of these in a block, along rows and columns.
        mean: temporal mean of these pixels ``(D, h, w)`` in HU.
        brain: those of them that lie in the brain ``(D, h, w)``.
        frames: means over blocks ``(T, D, m, n)`` in HU.
        inside: blocks wholly within the brain ``(D, m, n)``.
        moved: how far the head lies from where it was first ``(T, 2)`` in mm, along rows and columns.
    """

    step: tuple[int, int]
    size: tuple[int, int]
    mean: FloatArray
    brain: BoolArray
    frames: FloatArray
    inside: BoolArray
    moved: FloatArray

    @classmethod
    def of(cls, series: NDArray[Any], spacing: tuple[float, float, float]) -> Self:
        """The blocks of a series ``(T, D, H, W)`` with voxels of ``(dz, dy, dx)`` mm."""
        dz, dy, dx = spacing
        step = _ratio(_PIXEL_MM, dy), _ratio(_PIXEL_MM, dx)
        dy, dx = dy * step[0], dx * step[1]
        size = _ratio(BLOCK_MM, dy), _ratio(BLOCK_MM, dx)
        thin = series[:, :, :: step[0], :: step[1]]
        mean = thin.mean(axis=0, dtype=np.float32)
        brain = brain_mask(mean, (dz, dy, dx))
        frames = np.stack([_means(frame, size) for frame in thin])
        inside, moved = _means(brain, size) > 0.99, displacements(thin, (dy, dx))
        return cls(step=step, size=size, mean=mean, brain=brain, frames=frames, inside=inside, moved=moved)

    def thin(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Those voxels of ``(D, H, W)`` that are looked at, ``(D, h, w)``."""
        return volume[:, :: self.step[0], :: self.step[1]]

    def means(self, volume: NDArray[Any]) -> NDArray[np.float32]:
        """Means of a volume of the series' voxels ``(D, H, W)`` over the blocks, ``(D, m, n)``."""
        return _means(self.thin(volume), self.size)


def _ratio(wanted: float, side: float) -> int:
    """How many pixels of a side come nearest to a length, at least one."""
    return max(1, round(wanted / side))


def _means(volume: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Means over squares of ``(D, h, w)``; what is left over at the ends is left out."""
    depth, height, width = volume.shape
    rows, columns = height // size[0], width // size[1]
    squares = volume[:, : rows * size[0], : columns * size[1]].reshape(depth, rows, size[0], columns, size[1])
    return squares.sum(axis=2, dtype=np.float32).sum(axis=-1) / np.float32(size[0] * size[1])
