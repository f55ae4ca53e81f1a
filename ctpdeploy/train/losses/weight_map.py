"""The spatial weight map A, which draws the attention of the losses to the lesion (equation 9)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.special import expit

from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["weight_map"]


def weight_map(lesion: BoolArray, *, lesion_weight: float, decay: float) -> NDArray[np.float32]:
    """Compute A for each slice.

    ::

        A_i = w                              in the lesion F
        A_i = 0.5 + sigmoid(-Eud(i, F) / D)  elsewhere

    Where a slice has no lesion, A is 0.5, its limit far from one.

    Args:
        lesion: F, ``(N, H, W)``; each slice counts for itself, as the method is two-dimensional.
        lesion_weight: w.
        decay: D, in pixels.

    Returns:
        A, float32 ``(N, H, W)``.
    """
    weight = np.full(lesion.shape, 0.5, dtype=np.float32)
    for slice_weight, mask in zip(weight, lesion, strict=True):
        if mask.any():
            slice_weight += expit(-distance_transform_edt(~mask) / decay)
    weight[lesion] = lesion_weight
    return weight
