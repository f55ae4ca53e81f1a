"""The parenchyma: the brain without vessels and cerebrospinal fluid, the only tissue whose maps mean anything.

Blood in a vein has passed all tissue, so that its Tmax is that of a penumbra; fluid has no flow, so that its Tmax is
noise. Reference software leaves both out, and so do the maps of ISLES 2018.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.brain import dilate, erode

__all__ = ["left_out", "parenchyma"]

_TISSUE_HU: Final = (16.0, 60.0)
"""Of a time mean: above fluid (0 to 15), below bone blurred into the brain and below vessels full of contrast. White
matter has 25, an infarct some 3 less, grey matter with contrast under 50."""

_VESSEL_CBV: Final = 2.5
"""Times the brain's median: the 8 ml/100g at which Murphy et al. (Stroke 2006;37:1771) begin a vessel, where the median
is the usual 3.2, and also where an input thinned by partial volume makes every CBV too large."""

_COMPACT_MM: Final = 6.0
"""Radius of a disk that a compact region holds; vessels, sulci and most of the ventricles do not."""

_LEFT_OUT_ML: Final = 5.0
"""Of one compact region, fluid that lies on both sides aside; right brains have 3.1 at most, 0 in the median. Balls of
9 to 16 ml at 8 or 70 HU have 6 at least."""


def parenchyma(mean_hu: FloatArray, cbv: FloatArray, brain: BoolArray) -> BoolArray:
    """Find the parenchyma.

    Args:
        mean_hu: temporal mean of the series ``(D, H, W)`` in HU.
        cbv: of the same voxels, in any unit.
        brain: mask ``(D, H, W)``, not empty.

    Returns:
        Mask ``(D, H, W)``, within the brain.
    """
    least, most = _TISSUE_HU
    return brain & (mean_hu > least) & (mean_hu < most) & (cbv <= _VESSEL_CBV * np.median(cbv[brain]))


def left_out(
    mean_hu: FloatArray, brain: BoolArray, shown: BoolArray, spacing: tuple[float, float, float]
) -> Iterator[Finding]:
    """Finding on the largest compact region of a brain that is no parenchyma.

    Args:
        mean_hu: temporal mean of the series ``(D, H, W)`` in HU.
        brain: mask ``(D, H, W)``, not empty.
        shown: its parenchyma ``(D, H, W)``.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
    """
    left, pixel = brain & ~shown, spacing[1:]
    compact = dilate(erode(left, pixel, _COMPACT_MM), pixel, _COMPACT_MM) & left
    compact &= (mean_hu > _TISSUE_HU[0]) | ~dilate(_mirrored(left, brain), pixel, _COMPACT_MM)
    labels, _ = ndimage.label(compact, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    region = labels == np.argmax(sizes)
    volume = float(sizes.max() * np.prod(spacing) / 1000.0)
    if volume > _LEFT_OUT_ML:
        sentence = (
            f"{volume:.0f} ml of the brain, about slice {np.mean(np.nonzero(region)[0]):.0f} (counted from 0) and with "
            f"{np.median(mean_hu[region]):.0f} HU, are left out of the maps, and no lesion is found there: is it a "
            "haemorrhage, an old infarct, a cyst or metal?"
        )
        yield finding("brain-left-out", sentence)


def _mirrored(mask: BoolArray, brain: BoolArray) -> BoolArray:
    """The mask with left and right changed, about the middle of the brain."""
    columns = np.arange(mask.shape[2])
    of = round(2.0 * float(np.mean(np.nonzero(brain)[2]))) - columns
    within = (of >= 0) & (of < len(columns))
    mirrored = np.zeros_like(mask)
    mirrored[..., within] = mask[..., of[within]]
    return mirrored
