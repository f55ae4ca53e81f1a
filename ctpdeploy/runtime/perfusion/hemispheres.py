"""The healthier hemisphere, and its Tmax: what an arterial input in the right place makes a few seconds."""

from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.perfusion.threshold_rule import TMAX_ABOVE_S

__all__ = ["healthy_tmax"]

_SLIVER: Final = 0.1
"""Share of the brain that a side has to hold to be a hemisphere, and not the edge of the other one."""


def healthy_tmax(tmax: FloatArray, brain: BoolArray) -> float | None:
    """Median Tmax of the hemisphere with less delay.

    It is the one with the smaller share of Tmax > 6 s, however large it is in the slab; of two with the same share, as
    where all of both or none of either is late, the one with the lower median.

    Args:
        tmax: ``(D, H, W)`` in s, columns from left to right.
        brain: mask of the same shape.

    Returns:
        The median in s; None where there is no brain.
    """
    right = np.arange(tmax.shape[2]) > (tmax.shape[2] - 1) / 2
    sides = [tmax[brain & right], tmax[brain & ~right]]
    least = _SLIVER * sum(side.size for side in sides)
    ranks = [(np.mean(side > TMAX_ABOVE_S), np.median(side)) for side in sides if side.size > least]
    return float(min(ranks)[1]) if ranks else None
