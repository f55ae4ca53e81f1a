"""Voxels of the brain that may be vessels, and those among them that may be arteries.

A vessel rises high, smoothly and after the baseline. How high depends on the slab: thick slices leave arteries 40 HU
where a sinus has 300. So the demand falls in steps until some candidates peak well before the brain's mean curve does,
as arteries do and veins cannot.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["LEAD", "STEPS", "Candidates", "Step", "find_candidates", "peak_frames", "smooth_in_time"]

LEAD: Final = 2.0
"""s from an artery's peak to that of the brain's mean curve, at least; 4 to 8 are usual."""

_ARTERIES = 3  # at least; fewer are noise
_QUIET_FRACTION = 0.15  # of the voxel's peak, before the bolus
_ROUGHNESS = 3.5  # total variation in units of the peak; a clean first pass with recirculation has 2 to 2.5
_TIME_SMOOTHING = 0.8  # standard deviation in frames


class Step(NamedTuple):
    """A demand on the peaks of candidates.

    Attributes:
        fraction: of the 99.9th percentile of the voxels' peaks.
        least_hu: whatever that is.
        lead: s before the brain's mean curve, of arteries.
        averaged: whether it is put to means over a voxel and its neighbours in the plane, which are less noisy.
    """

    fraction: float
    least_hu: float
    lead: float = LEAD
    averaged: bool = False


STEPS: Final = (
    Step(0.35, 40.0),
    Step(0.20, 30.0),
    Step(0.10, 25.0, lead=4.0, averaged=True),
    Step(0.05, 18.0, lead=4.0, averaged=True),
)
"""From the strictest. No tissue enhances by 30 HU; grey matter comes near 20, and leads the brain by some 3 s."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Voxels that may be vessels.

    Attributes:
        voxels: their places among the brain's voxels ``(n,)``.
        curves: HU above baseline ``(T, n)``, smoothed along time, averaged where the step is.
        arteries: those that may be arteries ``(n,)``, three at least.
        step: that found them.
    """

    voxels: NDArray[np.int64]
    curves: FloatArray
    arteries: BoolArray
    step: Step


def find_candidates(enhancement: FloatArray, mask: BoolArray, dt: float, baseline: int) -> Candidates:
    """The candidates of the first step that has arteries.

    Where none has, arteries of the steps without averages need lead by a frame only.

    Args:
        enhancement: series less its baseline ``(T, D, H, W)`` in HU.
        mask: brain ``(D, H, W)``.
        dt: frame interval in s.
        baseline: number of frames before the bolus.

    Raises:
        InputError: no voxel behaves like an artery.
    """
    curves = {False: enhancement[:, mask]}
    if curves[False].size:
        brain_peak = peak_frames(smooth_in_time(curves[False].mean(axis=1, dtype=np.float64)))
        for step in (*STEPS, *(step._replace(lead=dt) for step in STEPS if not step.averaged)):
            if step.averaged not in curves:
                curves[step.averaged] = _neighbourhood_means(enhancement, mask)
            strong = np.flatnonzero(_strong(curves[step.averaged], step))
            smooth = smooth_in_time(curves[step.averaged][:, strong])
            clean = _clean(smooth, baseline)
            arteries = (brain_peak - peak_frames(smooth[:, clean])) * dt >= step.lead
            if np.count_nonzero(arteries) >= _ARTERIES:
                return Candidates(voxels=strong[clean], curves=smooth[:, clean], arteries=arteries, step=step)
    raise InputError(
        f"No artery found in the series: fewer than {_ARTERIES} voxels of the brain rise cleanly by "
        f"{STEPS[-1].least_hu:.0f} HU and peak before the brain does; check that contrast was given, that the series "
        "holds its arrival and that the slab holds an artery, or give the case perfusion maps."
    )


def smooth_in_time(curves: FloatArray) -> FloatArray:
    """Curves ``(T, ...)`` smoothed along time."""
    return ndimage.gaussian_filter1d(curves, _TIME_SMOOTHING, axis=0, mode="nearest")


def peak_frames(curves: FloatArray) -> NDArray[np.int64]:
    """Frame at which each curve ``(T, ...)`` peaks."""
    return np.argmax(curves, axis=0)


def _neighbourhood_means(enhancement: FloatArray, mask: BoolArray) -> FloatArray:
    """Curves ``(T, N)`` of the mask's voxels, each the mean over the 3 x 3 around that lie in the mask."""
    total = np.stack([ndimage.uniform_filter(frame * mask, (1, 3, 3), mode="constant")[mask] for frame in enhancement])
    share = ndimage.uniform_filter(mask.astype(enhancement.dtype), (1, 3, 3), mode="constant")[mask]
    return np.asarray(total / share)


def _strong(curves: FloatArray, step: Step) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that peak as high as a step demands."""
    peaks = curves.max(axis=0)
    above = peaks > step.least_hu  # smoothing is for the few that can pass
    peaks[above] = smooth_in_time(curves[:, above]).max(axis=0)
    return peaks > max(step.least_hu, step.fraction * float(np.percentile(peaks, 99.9)))


def _clean(curves: FloatArray, baseline: int) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that are quiet before the bolus and smooth throughout."""
    peak = curves.max(axis=0)
    quiet = np.abs(curves[: min(baseline, 4)]).max(axis=0) < _QUIET_FRACTION * peak
    return quiet & (np.abs(np.diff(curves, axis=0)).sum(axis=0) < _ROUGHNESS * peak)
