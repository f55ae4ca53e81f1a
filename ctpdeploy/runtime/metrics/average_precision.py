"""Average precision: how well a probability ranks voxels, without a threshold.

Voxels in falling order of their probability; of each height of it, precision and recall of all voxels at or above::

    AP = sum over heights k of (R_k - R_{k-1}) P_k            R_0 = 0

Voxels of one height come together, so that the order within a tie gives nothing away. A perfect order has 1, a
constant probability the share of lesion.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["average_precision", "precision_of_counts"]


def average_precision(probability: FloatArray, truth: BoolArray, inside: BoolArray | None = None) -> float:
    """Average precision of a probability.

    Args:
        probability: of lesion, of any shape; any other number that is larger where lesion is likelier does as well.
        truth: of the same shape.
        inside: the voxels that count, of the same shape; all of them if None. Air outside the head is told from lesion
            by anything, so that it flatters little here, unlike in a ROC curve, but slows.

    Returns:
        A fraction; NaN where no lesion counts.

    Raises:
        ValueError: the shapes differ.
    """
    if probability.shape != truth.shape or (inside is not None and inside.shape != truth.shape):
        raise ValueError(f"a probability of shape {probability.shape} cannot be compared with a truth of {truth.shape}")
    chosen = slice(None) if inside is None else inside
    heights, lesion = probability[chosen].ravel(), truth[chosen].ravel()
    order = np.argsort(heights)[::-1]
    heights, lesion = heights[order], lesion[order]
    ends = np.flatnonzero(np.diff(heights, append=-np.inf))  # the last voxel of each height
    found = np.cumsum(lesion)[ends]
    return precision_of_counts(np.diff(found, prepend=0), np.diff(ends, prepend=-1))


def precision_of_counts(lesion: NDArray[np.integer[Any]], voxels: NDArray[np.integer[Any]]) -> float:
    """Average precision from numbers of voxels, ``(heights,)`` from the greatest probability to the least.

    Args:
        lesion: those of lesion at each height.
        voxels: all at each height.

    Returns:
        A fraction; NaN where there is no lesion.
    """
    total = int(lesion.sum())
    if not total:
        return math.nan
    met = np.cumsum(voxels)
    precision = np.cumsum(lesion) / np.maximum(met, 1)
    return float((lesion / total) @ precision)
