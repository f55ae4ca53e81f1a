"""The rule of a reader without a network: fixed thresholds on the perfusion maps.

Tmax > 6 s marks tissue whose blood comes late; of that, the core is where CBF is under 30 % of normal.
"""

import numpy as np

from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.perfusion.brain import tissue

__all__ = ["RCBF_BELOW", "RULE", "TMAX_ABOVE_S", "threshold_rule"]

TMAX_ABOVE_S = 6.0
RCBF_BELOW = 0.30
RULE = f"Tmax > {TMAX_ABOVE_S:g} s and rCBF < {100 * RCBF_BELOW:g} %"
"""The rule in words."""


def threshold_rule(case: Case, tmax_above_s: float = TMAX_ABOVE_S, rcbf_below: float = RCBF_BELOW) -> BoolArray:
    """Core by Tmax > 6 s and CBF < 30 % of the median CBF of tissue with Tmax <= 6 s.

    Args:
        case: its maps are used, its series is not.
        tmax_above_s: threshold of Tmax in s, 6 as published.
        rcbf_below: threshold of CBF as a fraction of normal, 0.3 as published.

    Returns:
        Mask, bool ``(D, H, W)``; empty where all tissue is late, as then nothing is normal.
    """
    brain = tissue(case)
    late = case.maps["tmax"] > tmax_above_s
    normal = case.maps["cbf"][brain & ~late]
    if not normal.size:
        return np.zeros(brain.shape, dtype=bool)
    return brain & late & (case.maps["cbf"] < rcbf_below * np.median(normal))
