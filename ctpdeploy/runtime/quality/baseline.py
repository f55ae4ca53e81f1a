"""The baseline of a series: its mean before the contrast agent."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["baseline_mean"]

_FIRST: Final = 1 / 12
"""Share of the frames that are taken for the baseline."""


def baseline_mean(frames: NDArray[Any]) -> NDArray[Any]:
    """Mean of the first of frames ``(T, ...)``, float32, or float64 where they are."""
    first = frames[: max(2, round(_FIRST * len(frames)))]
    return np.asarray(first.mean(axis=0, dtype=np.result_type(first.dtype, np.float32)))
