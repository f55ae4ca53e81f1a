"""Whether a lesion that networks drew lies in tissue."""

from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["inspect_lesion"]

_TISSUE_HU: Final = (-50.0, 150.0)
"""Of a time mean: no fat, no air and no bone; vessels full of contrast stay below."""

_MOST_OUTSIDE: Final = 0.1
"""Of the lesion; half a voxel of blurred bone along a lesion at the skull is less."""


def inspect_lesion(mask: BoolArray, case: Case) -> tuple[Finding, ...]:
    """Findings on a lesion ``(D, H, W)`` in the voxels of its case."""
    if not mask.any():
        return ()
    mean = case.series[:, mask].mean(axis=0, dtype=np.float32)
    outside = float(np.mean((mean < _TISSUE_HU[0]) | (mean > _TISSUE_HU[1])))
    if outside <= _MOST_OUTSIDE:
        return ()
    sentence = (
        f"{100 * outside:.0f} % of the lesion lies outside of tissue, where the series has air, fat or bone: the "
        "networks saw something that they were not trained for; look at the pictures, and do not trust the mask."
    )
    return (finding("lesion-outside-tissue", sentence),)
