"""Voxels of the brain that may be vessels, and those among them that may be arteries.

A vessel rises high, smoothly and after the baseline: three times as high as the brain's mean, of which blood is a
twentieth, by 18 HU and well above the noise. An artery also leads the brain's mean curve, in its rise and at its peak,
as neither tissue nor a vein does. Both times are read between frames, on curves smoothed along time: a frame's maximum
alone errs by a second, and arteries differ from tissue by three.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["ARTERIES", "LEAD", "Candidates", "find_candidates", "leads", "smooth_in_time"]

ARTERIES: Final = 3
"""Voxels, at least; fewer are noise."""

LEAD: Final = 2.0
"""s from an artery's rise and peak to those of the brain's mean curve, at least; 3 to 5 are usual."""

_LEAST_HU = 18.0
_LEAST_RATIO = 3.0  # to the peak of the brain's mean curve; of tissue, grey matter has twice the mean
_LEAST_SIGNAL = 8.0  # standard deviations of the noise
_QUIET_FRACTION = 0.15  # of the voxel's peak, before the bolus
_ROUGHNESS = 3.5  # total variation in units of the peak; a clean first pass with recirculation has 2 to 2.5
_SMOOTHING = 1.5  # s, standard deviation along time; a first pass is 10 wide
_SAMPLE = 2000  # voxels, for an estimate of the noise


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Voxels that may be vessels.

    Attributes:
        voxels: their places among the brain's voxels ``(n,)``.
        curves: HU above baseline ``(T, n)``; means over 3 x 3 voxels where ``averaged``.
        smooth: these smoothed along time ``(T, n)``.
        lead: s by which each is earlier than the brain's mean curve ``(n,)``, mean of rise and peak.
        arteries: those that may be arteries ``(n,)``, ``ARTERIES`` at least.
        averaged: whether single voxels are too noisy or too faint.
        brain: the brain's mean curve ``(T,)``.
    """

    voxels: NDArray[np.int64]
    curves: FloatArray
    smooth: FloatArray
    lead: FloatArray
    arteries: BoolArray
    averaged: bool
    brain: FloatArray


def find_candidates(enhancement: FloatArray, mask: BoolArray, dt: float, baseline: int) -> Candidates:
    """The candidates among voxels or, if these hold no arteries, among means over each voxel and its neighbours.

    Args:
        enhancement: series less its baseline ``(T, D, H, W)`` in HU.
        mask: brain ``(D, H, W)``.
        dt: frame interval in s.
        baseline: number of frames before the bolus.

    Raises:
        InputError: no voxel behaves like an artery.
    """
    if mask.any():
        curves = enhancement.reshape(len(enhancement), -1).take(np.flatnonzero(mask), axis=1)  # a row a frame
        brain = curves.mean(axis=1, dtype=np.float64)
        least = max(_LEAST_HU, _LEAST_RATIO * float(smooth_in_time(brain, dt).max()))
        for averaged in (False, True):
            curves = _neighbourhood_means(enhancement, mask) if averaged else curves
            strong = np.flatnonzero(_strong(curves, max(least, _LEAST_SIGNAL * _noise(curves, dt)), dt))
            voxels = strong[_clean(smooth_in_time(curves[:, strong], dt), baseline)]
            lead = leads(curves[:, voxels], brain, dt)
            arteries = np.all(lead >= LEAD, axis=0)
            if np.count_nonzero(arteries) >= ARTERIES:
                return Candidates(
                    voxels=voxels,
                    curves=curves[:, voxels],
                    smooth=smooth_in_time(curves[:, voxels], dt),
                    lead=lead.mean(axis=0),
                    arteries=arteries,
                    averaged=averaged,
                    brain=brain,
                )
    raise InputError(
        f"No artery found in the series: fewer than {ARTERIES} voxels of the brain rise cleanly, by {_LEAST_HU:.0f} HU "
        f"and {_LEAST_RATIO:.0f} times as high as its mean, and {LEAD:.0f} s before it; check that contrast was given, "
        "that the series holds its arrival and that the slab holds an artery, or give the case perfusion maps."
    )


def leads(curves: FloatArray, brain: FloatArray, dt: float) -> FloatArray:
    """By how many s curves ``(T, n)`` pass half their peak, and peak, before the brain's mean ``(T,)``: ``(2, n)``."""
    both = (_times(smooth_in_time(part, dt)) for part in (brain[:, None], curves))
    of_brain, of_curves = both
    return np.asarray(dt * (of_brain - of_curves))


def smooth_in_time(curves: FloatArray, dt: float) -> FloatArray:
    """Curves ``(T, ...)`` smoothed along time, their frames ``dt`` s apart."""
    return ndimage.gaussian_filter1d(curves, _SMOOTHING / dt, axis=0, mode="nearest")


def _times(curves: FloatArray) -> FloatArray:
    """Frames, with fractions, at which curves ``(T, n)`` last pass half their peak before it, and peak: ``(2, n)``.

    The rise is interpolated linearly, the peak is the vertex of a parabola.
    """
    frames, columns = np.arange(len(curves)), np.arange(curves.shape[1])
    peak, half = np.argmax(curves, axis=0), 0.5 * curves.max(axis=0)
    below = np.where((curves < half) & (frames[:, None] < peak), frames[:, None], 0).max(axis=0)
    low, high = curves[below, columns], curves[below + 1, columns]
    rise = below + np.clip(np.divide(half - low, high - low, out=np.zeros_like(low), where=high > low), 0.0, 1.0)
    inner = np.clip(peak, 1, len(curves) - 2)
    left, centre, right = (curves[inner + shift, columns] for shift in (-1, 0, 1))
    bend = left - 2.0 * centre + right
    vertex = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=(bend < 0) & (inner == peak))
    return np.stack([rise, peak + vertex])


def _neighbourhood_means(enhancement: FloatArray, mask: BoolArray) -> FloatArray:
    """Curves ``(T, N)`` of the mask's voxels, each the mean over the 3 x 3 around that lie in the mask."""
    total = np.stack([ndimage.uniform_filter(frame * mask, (1, 3, 3), mode="constant")[mask] for frame in enhancement])
    share = ndimage.uniform_filter(mask.astype(enhancement.dtype), (1, 3, 3), mode="constant")[mask]
    return np.asarray(total / share)


def _noise(curves: FloatArray, dt: float) -> float:
    """Noise of a typical one of the curves ``(T, N)`` in HU: the standard deviation of what smoothing takes away."""
    sample = curves[:, :: max(1, curves.shape[1] // _SAMPLE)]
    return float(np.median(np.std(sample - smooth_in_time(sample, dt), axis=0)))


def _strong(curves: FloatArray, least: float, dt: float) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that peak above ``least`` HU, smoothed."""
    strong = curves.max(axis=0) > least  # smoothing is for the few that can pass
    strong[strong] = smooth_in_time(curves[:, strong], dt).max(axis=0) > least
    return np.asarray(strong)


def _clean(curves: FloatArray, baseline: int) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that are quiet before the bolus and smooth throughout."""
    peak = curves.max(axis=0)
    quiet = np.abs(curves[: min(baseline, 4)]).max(axis=0) < _QUIET_FRACTION * peak
    return quiet & (np.abs(np.diff(curves, axis=0)).sum(axis=0) < _ROUGHNESS * peak)
