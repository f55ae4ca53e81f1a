"""Temporal summary of a whole series, in one pass over it: q(t), and the maximum over time.

A series is the largest thing in memory, and reading it takes longer than adding it up. So it is walked through once,
in the order in which its voxels lie there, whatever the orientation of the file, in blocks that are still in the cache
when the second of the two sums reads them.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["TemporalSummary", "summarise"]

BLOCK: Final = 2**16
"""Voxels of a frame looked at together, at least one slice. The sum of as many int16 fits into int32."""


@dataclass(frozen=True, kw_only=True)
class TemporalSummary:
    """A series without its time.

    Attributes:
        curve: q(t), the sum of each frame over all voxels, float64 ``(T,)``.
        maximum: F_l, the maximum of each voxel over time, ``(D, H, W)`` in the type of the series.
    """

    curve: FloatArray
    maximum: NDArray[Any]


def summarise(series: NDArray[Any]) -> TemporalSummary:
    """Sum and maximum of ``(T, D, H, W)`` of any strides.

    Sums are exact where the numbers are whole, as HU are, and taken in float64 where they are not.
    """
    # the order of voxels within a frame matters to neither: take that of memory
    backwards = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in series.strides[1:])
    axes = sorted(range(3), key=lambda axis: -abs(series.strides[1 + axis]))
    frames = series[:, *backwards].transpose(0, *(1 + axis for axis in axes))

    maximum = np.array(frames[0], order="C")
    step = max(1, BLOCK // max(maximum[0].size, 1))
    starts = range(0, len(maximum), step)
    sums = np.empty((len(frames), len(starts)))
    # a third faster than float64, and as exact
    kind = np.int32 if series.dtype == np.int16 and maximum[:step].size <= BLOCK else np.float64
    for i, start in enumerate(starts):
        highest = maximum[start : start + step]
        for t, frame in enumerate(frames[:, start : start + step]):
            sums[t, i] = frame.sum(dtype=kind)
            np.maximum(highest, frame, out=highest)
    return TemporalSummary(curve=sums.sum(axis=1), maximum=maximum.transpose(np.argsort(axes))[backwards])
