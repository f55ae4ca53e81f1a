"""Bolus onset, arterial input function and venous output function, found without a user.

The artery is the *earliest* of the strong voxels, not the strongest: the strongest are the sagittal sinus, which is
wide and free of partial volume, and peaks 4 to 5 s late. Arteries are narrow and lose height to partial volume; the
sinus does not, so their areas give the factor that restores the arterial height.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["VascularInput", "baseline_frames", "find_vascular_input"]

ONSET_FRACTION = 0.04  # of the rise of the brain's mean curve
STRONG_FRACTION = 0.35  # of the 99.9th percentile of the voxels' peaks
STRONG_HU = 40.0  # no tissue enhances as much
QUIET_FRACTION = 0.15  # of the voxel's peak, before the bolus
ROUGHNESS = 3.5  # total variation in units of the peak; a clean first pass with recirculation has 2 to 2.5
ARRIVAL_FRACTION = 0.20  # of the voxel's peak
EARLY_PERCENTILE = 5.0
EARLY_FRAMES = 1.0
TIME_SMOOTHING = 0.8  # standard deviation in frames
AIF_VOXELS = 12
VOF_VOXELS = 20
VOF_AREA = 0.9  # of the largest; large pixels leave few voxels within a sinus
VENOUS_DELAY = 2.0  # s after the arteries


@dataclass(frozen=True, kw_only=True)
class VascularInput:
    """The arterial input and the venous output of the brain.

    Attributes:
        aif: arterial input function ``(T,)``, HU above baseline, as measured.
        vof: venous output function ``(T,)``, HU above baseline; zero where no vein was found.
        aif_voxels: voxels behind ``aif``, ``(n, 3)`` indices into ``(D, H, W)``.
        vof_voxels: voxels behind ``vof``, ``(m, 3)``.
        scaling: max(1, area of ``vof`` / area of ``aif``); 1 where no vein was found.
        findings: on vessels that were not found.
    """

    aif: FloatArray
    vof: FloatArray
    aif_voxels: NDArray[np.int64]
    vof_voxels: NDArray[np.int64]
    scaling: float
    findings: tuple[Finding, ...] = ()


def baseline_frames(curve: FloatArray) -> int:
    """Number of frames before the bolus, at least 1.

    Args:
        curve: mean of the brain ``(T,)``, any offset.

    From the peak back to where the curve has risen by no more than 4 %, less one frame for safety.
    """
    smooth = ndimage.gaussian_filter1d(np.asarray(curve, dtype=np.float64), TIME_SMOOTHING, mode="nearest")
    peak = int(np.argmax(smooth))
    lowest = smooth[: peak + 1].min()
    low = np.flatnonzero(smooth[: peak + 1] <= lowest + ONSET_FRACTION * (smooth[peak] - lowest))
    return max(1, int(low[-1]))


def find_vascular_input(enhancement: FloatArray, mask: BoolArray, dt: float, baseline: int = 4) -> VascularInput:
    """Choose the arterial input and the venous output among the voxels of the brain.

    Args:
        enhancement: series less its baseline ``(T, D, H, W)`` in HU, not smoothed in space.
        mask: brain ``(D, H, W)``.
        dt: frame interval in s.
        baseline: number of frames before the bolus.

    Raises:
        InputError: no voxel behaves like an artery.
    """
    voxels = np.argwhere(mask)
    curves = enhancement[:, mask]
    strong = np.flatnonzero(_strong(curves))
    candidates = strong[_clean(_smooth(curves[:, strong]), baseline)]
    if not candidates.size:
        raise InputError(
            f"No artery found in the series: no voxel of the brain rises cleanly by more than {STRONG_HU:.0f} HU; "
            "check that contrast was given and that the series holds its arrival."
        )
    smooth = _smooth(curves[:, candidates])
    arrival, peak_frame = _arrival(smooth), np.argmax(smooth, axis=0)
    first_arrival, first_peak = (np.percentile(values, EARLY_PERCENTILE) for values in (arrival, peak_frame))
    early = (arrival <= first_arrival + EARLY_FRAMES) & (peak_frame <= first_peak + EARLY_FRAMES)
    if not early.any():  # few candidates: the first to arrive need not be the first to peak
        early = peak_frame <= first_peak + EARLY_FRAMES
    sharpness = np.where(early, smooth.max(axis=0) / _width(smooth), -np.inf)
    chosen = np.argsort(-sharpness, kind="stable")[: min(AIF_VOXELS, int(early.sum()))]
    late = candidates[peak_frame * dt >= first_peak * dt + VENOUS_DELAY]
    return _vascular_input(curves, voxels, candidates[chosen], late)


def _vascular_input(
    curves: FloatArray, voxels: NDArray[np.int64], arteries: NDArray[np.int64], late: NDArray[np.int64]
) -> VascularInput:
    """Average the chosen voxels, and the late ones of the largest area."""
    aif = curves[:, arteries].mean(axis=1, dtype=np.float64)
    area = curves[:, late].sum(axis=0, dtype=np.float64)
    largest = np.argsort(-area, kind="stable")[:VOF_VOXELS]
    veins = late[largest[area[largest] >= VOF_AREA * area.max(initial=0.0)]]
    findings: tuple[Finding, ...] = ()
    if veins.size:
        vof = curves[:, veins].mean(axis=1, dtype=np.float64)
        scaling = max(1.0, float(vof.sum() / aif.sum()))
    else:
        vof, scaling = np.zeros_like(aif), 1.0
        findings = (finding("no-vein", "No vein found: the arterial input is not corrected for partial volume."),)
    return VascularInput(
        aif=aif, vof=vof, aif_voxels=voxels[arteries], vof_voxels=voxels[veins], scaling=scaling, findings=findings
    )


def _smooth(curves: FloatArray) -> FloatArray:
    """Curves ``(T, N)`` smoothed along time."""
    return ndimage.gaussian_filter1d(curves, TIME_SMOOTHING, axis=0, mode="nearest")


def _strong(curves: FloatArray) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that peak as high as vessels do."""
    if not curves.size:
        return np.zeros(curves.shape[1], dtype=bool)
    peaks = curves.max(axis=0)
    above = peaks > STRONG_HU  # smoothing is for the few that can pass
    peaks[above] = _smooth(curves[:, above]).max(axis=0)
    return peaks > max(STRONG_HU, STRONG_FRACTION * float(np.percentile(peaks, 99.9)))


def _clean(curves: FloatArray, baseline: int) -> BoolArray:
    """Mask ``(N,)`` of the curves ``(T, N)`` that are quiet before the bolus and smooth throughout."""
    peak = curves.max(axis=0)
    quiet = np.abs(curves[: min(baseline, 4)]).max(axis=0) < QUIET_FRACTION * peak
    return quiet & (np.abs(np.diff(curves, axis=0)).sum(axis=0) < ROUGHNESS * peak)


def _arrival(curves: FloatArray) -> NDArray[np.int64]:
    """First frame at which each curve ``(T, N)`` has reached a fifth of its peak."""
    return np.argmax(curves >= ARRIVAL_FRACTION * curves.max(axis=0), axis=0)


def _width(curves: FloatArray) -> NDArray[np.int64]:
    """Number of frames that each curve ``(T, N)`` spends above half its peak."""
    return np.count_nonzero(curves >= 0.5 * curves.max(axis=0), axis=0)
