"""Agreement of volumes over many patients: bias and limits of agreement (Bland and Altman, Lancet 1986).

With the differences d = V - V_true of the patients::

    bias = mean d        limits = bias -/+ 1.96 s        s: standard deviation of d, ddof 1

Of 20 patients 19 lie between the limits if the differences are distributed normally.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["VolumeBias", "volume_bias"]

_QUANTILE: Final = 1.96


@dataclass(frozen=True, kw_only=True)
class VolumeBias:
    """Bias of volumes in ml.

    Attributes:
        bias_ml: mean difference, positive where too much is drawn; NaN of no patient.
        lower_ml: lower limit of agreement; NaN of fewer than two patients.
        upper_ml: upper limit, likewise.
        n: number of patients.
    """

    bias_ml: float
    lower_ml: float
    upper_ml: float
    n: int


def volume_bias(differences_ml: Sequence[float]) -> VolumeBias:
    """Bias and limits of signed differences in ml, predicted less true."""
    n = len(differences_ml)
    bias = float(np.mean(differences_ml)) if n else math.nan
    reach = _QUANTILE * float(np.std(differences_ml, ddof=1)) if n > 1 else math.nan
    return VolumeBias(bias_ml=bias, lower_ml=bias - reach, upper_ml=bias + reach, n=n)
