"""Frames on a uniform time grid, as deconvolution needs them, whatever times a scanner took them at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["resample_frames", "uniform_frames"]

_MOST_RESAMPLED = 10
"""Frames on a uniform grid for each frame there is; more is a gap that no interpolation bridges."""


def resample_frames(series: NDArray[Any], times: FloatArray, wanted: FloatArray) -> NDArray[Any]:
    """Linear interpolation of ``(T, ...)`` at ``times`` to the frame times ``wanted``, both in s, ascending.

    In float32, or in float64 where the series is.
    """
    right = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    kind = np.result_type(series, np.float32)
    share = ((wanted - times[right - 1]) / (times[right] - times[right - 1])).astype(kind)
    share = share.reshape(-1, *(1,) * (series.ndim - 1))
    return (1 - share) * series[right - 1] + share * series[right]


def uniform_frames(series: NDArray[Any], times: FloatArray) -> tuple[NDArray[Any], FloatArray, tuple[Finding, ...]]:
    """The series on a uniform time grid, its times, and a finding if it had another.

    Args:
        series: ``(T, D, H, W)``.
        times: frame times ``(T,)`` in s, ascending, or those of each frame and slice ``(T, D)``.

    Raises:
        InputError: the times do not ascend, are too unequal, or have no two frames in common.
    """
    steps = np.diff(times, axis=0)
    ascend = np.isfinite(times).all() and np.all(steps > 0)
    if times.shape not in (series.shape[:1], series.shape[:2]) or len(times) < 2 or not ascend:
        raise InputError(
            f"The frame times ({len(times)} for {len(series)} frames) must ascend, one a frame: check the time tags."
        )
    dt = float(np.median(steps))
    if times.ndim == 1 and np.allclose(steps, dt, rtol=1e-3):
        return series, times, ()
    of_slices = times[:, None] if times.ndim == 1 else times
    # what every slice has seen: nothing is extrapolated
    first, last = of_slices[0].max(), of_slices[-1].min()
    if last - first > _MOST_RESAMPLED * dt * len(times):
        raise InputError(
            f"The frame times have steps from {steps.min():.3g} to {steps.max():.3g} s: too unequal to be of one scan; "
            "check the time tags."
        )
    grid = np.arange(first, last + 1e-6 * dt, dt)
    if len(grid) < 2:
        raise InputError("The times of the slices have less than two frames in common: check the time tags.")
    if times.ndim == 1:
        resampled = resample_frames(series, times, grid)
    else:
        slices = zip(np.moveaxis(series, 1, 0), times.T, strict=True)
        resampled = np.stack([resample_frames(frames, clock, grid) for frames, clock in slices], axis=1)
    return resampled, grid, (finding("times-resampled", f"Unequal frame times were resampled to {dt:g} s."),)
