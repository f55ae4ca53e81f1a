"""Bolus onset, arterial input function and venous output function, found without a user.

The artery is the *earliest* of the strong voxels, not the strongest: the strongest are the sagittal sinus, which is
wide and free of partial volume, and peaks 4 to 5 s late. Arteries are narrow and lose height to partial volume; the
sinus does not, so their areas give the factor that restores the arterial height. A vein in an artery's place would
make Tmax vanish, so nothing that peaks after the brain is ever one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.candidates import LEAD, Step, find_candidates, peak_frames, smooth_in_time

__all__ = ["VascularInput", "baseline_frames", "find_vascular_input"]

ONSET_FRACTION = 0.04  # of the rise of the brain's mean curve
ARRIVAL_FRACTION = 0.20  # of the voxel's peak
EARLY_PERCENTILE = 5.0
EARLY_FRAMES = 1.0
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
        findings: on vessels that were not found, or only just.
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
    smooth = smooth_in_time(np.asarray(curve, dtype=np.float64))
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
    candidates = find_candidates(enhancement, mask, dt, baseline)
    arteries, smooth = candidates.arteries, candidates.curves
    arrival, peak_frame = _arrival(smooth), peak_frames(smooth)
    first_arrival, first_peak = (np.percentile(values[arteries], EARLY_PERCENTILE) for values in (arrival, peak_frame))
    early = arteries & (arrival <= first_arrival + EARLY_FRAMES) & (peak_frame <= first_peak + EARLY_FRAMES)
    if not early.any():  # few candidates: the first to arrive need not be the first to peak
        early = arteries & (peak_frame <= first_peak + EARLY_FRAMES)
    sharpness = np.where(early, smooth.max(axis=0) / _width(smooth), -np.inf)
    chosen = np.argsort(-sharpness, kind="stable")[: min(AIF_VOXELS, int(early.sum()))]
    late = peak_frame * dt >= first_peak * dt + VENOUS_DELAY
    curves = enhancement[:, mask]
    found = _vascular_input(curves, np.argwhere(mask), candidates.voxels[chosen], candidates.voxels[late])
    doubts = _doubts(found.aif, curves.mean(axis=1, dtype=np.float64), dt, candidates.step)
    return replace(found, findings=(*found.findings, *doubts))


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


def _doubts(aif: FloatArray, brain: FloatArray, dt: float, step: Step) -> Iterator[Finding]:
    """Findings on an arterial input, beside the brain's mean curve, both ``(T,)``."""
    lead = float(peak_frames(smooth_in_time(brain)) - peak_frames(smooth_in_time(aif))) * dt
    if lead < LEAD:
        yield finding(
            "arterial-input-late",
            f"The arterial input peaks {lead:.2g} s before the brain, arteries {LEAD:.2g} s or more: it may be venous, "
            "and Tmax too short.",
        )
    if step.averaged:
        yield finding(
            "arterial-input-weak",
            f"The arteries are faint, {aif.max():.0f} HU at the peak: the perfusion maps may be less exact.",
        )


def _arrival(curves: FloatArray) -> NDArray[np.int64]:
    """First frame at which each curve ``(T, N)`` has reached a fifth of its peak."""
    return np.argmax(curves >= ARRIVAL_FRACTION * curves.max(axis=0), axis=0)


def _width(curves: FloatArray) -> NDArray[np.int64]:
    """Number of frames that each curve ``(T, N)`` spends above half its peak."""
    return np.count_nonzero(curves >= 0.5 * curves.max(axis=0), axis=0)
