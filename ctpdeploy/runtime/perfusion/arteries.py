"""Bolus onset, arterial input function and venous output function, found without a user.

The artery is the *earliest* of the strong voxels, not the strongest: the strongest are the sagittal sinus, which is
wide and free of partial volume, and peaks 7 to 9 s late. Arteries are narrow and lose height to partial volume; the
sinus does not, so their areas give the factor that restores the arterial height. A vein in an artery's place would
make Tmax vanish, so nothing that is not well before the brain is ever one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.candidates import ARTERIES, Candidates, find_candidates, leads

__all__ = ["VascularInput", "baseline_frames", "find_vascular_input"]

ONSET_FRACTION = 0.04  # of the rise of the brain's mean curve
ONSET_SMOOTHING = 0.8  # frames, standard deviation along time
EARLIEST = 0.05  # of the arteries
EARLY_S = 0.5  # after the earliest
AIF_VOXELS = 12
VOF_VOXELS = 20
VOF_AREA = 0.9  # of the largest; large pixels leave few voxels within a sinus
VENOUS_DELAY = 2.0  # s after the earliest arteries
USUAL_LEAD = 2.5  # s before the brain's mean curve; less may be grey matter
FAINT_HU = 40.0  # grey matter and noise come near


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
    smooth = ndimage.gaussian_filter1d(np.asarray(curve, dtype=np.float64), ONSET_SMOOTHING, mode="nearest")
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
    lead, arteries = candidates.lead, candidates.arteries
    rank = max(ARTERIES, round(EARLIEST * np.count_nonzero(arteries)))
    first = np.sort(lead[arteries])[-rank]
    early = arteries & (lead >= first - EARLY_S)
    sharpness = np.where(early, candidates.smooth.max(axis=0) / _width(candidates.smooth), -np.inf)
    chosen = np.argsort(-sharpness, kind="stable")[: min(AIF_VOXELS, int(early.sum()))]
    found = _vascular_input(candidates, np.argwhere(mask), chosen, np.flatnonzero(lead <= first - VENOUS_DELAY))
    ahead = leads(found.aif[:, None], candidates.brain, dt).mean()
    return replace(found, findings=(*found.findings, *_doubts(found.aif, float(ahead), averaged=candidates.averaged)))


def _vascular_input(
    candidates: Candidates, places: NDArray[np.int64], arteries: NDArray[np.int64], late: NDArray[np.int64]
) -> VascularInput:
    """Average the chosen candidates, and the late ones of the largest area; ``places`` of all voxels of the brain."""
    curves, voxels = candidates.curves, places[candidates.voxels]
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


def _doubts(aif: FloatArray, lead: float, *, averaged: bool) -> Iterator[Finding]:
    """Findings on an arterial input ``(T,)`` that is ``lead`` s before the brain's mean curve."""
    if lead < USUAL_LEAD:
        yield finding(
            "arterial-input-late",
            f"The arterial input is {lead:.2g} s before the brain, arteries {USUAL_LEAD:.2g} s or more: it may be "
            "no artery, and Tmax too short.",
        )
    if averaged or aif.max() < FAINT_HU:
        yield finding(
            "arterial-input-weak",
            f"The arteries are faint, {aif.max():.0f} HU at the peak: the perfusion maps may be less exact.",
        )


def _width(curves: FloatArray) -> NDArray[np.int64]:
    """Number of frames that each curve ``(T, N)`` spends above half its peak."""
    return np.count_nonzero(curves >= 0.5 * curves.max(axis=0), axis=0)
