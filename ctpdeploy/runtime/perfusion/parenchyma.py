"""The parenchyma: the brain without vessels and cerebrospinal fluid, the only tissue whose maps mean anything.

Blood in a vein has passed all tissue, so that its Tmax is that of a penumbra; fluid has no flow, so that its Tmax is
noise. Reference software leaves both out, and so do the maps of ISLES 2018.
"""

from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["parenchyma"]

_TISSUE_HU: Final = (16.0, 60.0)
"""Of a time mean: above fluid (0 to 15), below bone blurred into the brain and below vessels full of contrast. White
matter has 25, an infarct some 3 less, grey matter with contrast under 50."""

_VESSEL_CBV: Final = 2.5
"""Times the brain's median: the 8 ml/100g at which Murphy et al. (Stroke 2006;37:1771) begin a vessel, where the median
is the usual 3.2, and also where an input thinned by partial volume makes every CBV too large."""


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
