"""Weights in the layout of the kernels."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["PANEL", "Packed", "filled"]

_VECTOR: Final = 8

PANEL: Final = 16
"""Outputs whose weights lie together."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A convolution's constants.

    Attributes:
        weights: float32, ``(panels, taps or 36, channels in, 16)``; of a transposed convolution four times the panels.
        bias: float32, as long as the panels, zero beyond the outputs.
        outputs: channels out.
        kernel: rows and columns.
        winograd: whether the weights are transformed.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    outputs: int
    kernel: tuple[int, int]
    winograd: bool


def filled(channels: int) -> int:
    """Channels of a tensor in memory, a multiple of the vector."""
    return -(-channels // _VECTOR) * _VECTOR
