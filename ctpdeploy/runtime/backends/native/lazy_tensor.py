"""Tensors with a pending scale, shift and ReLU, which the next kernel applies when it reads them.

The end of a normalisation, a ReLU and the scale of Squeeze-and-Excitation are pending, a concatenation is a tuple of
tensors: none of them is a pass over memory.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.buffer_pool import PooledBuffer

__all__ = ["ChannelVector", "PendingRowMean", "PendingSquare", "PendingTensor"]

ChannelVector = NDArray[Any]
"""One value for each channel, float64 ``(C,)``, or ``(1,)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PendingTensor:
    """A tensor ``max(scale * x + shift, 0)`` of stored values x, with scale, shift and ReLU pending.

    Attributes:
        pixels: x; channels beyond ``channels`` are zero.
        channels: of the tensor.
        scale: of each channel, float64 ``(C,)``; None with ``shift``, and only with it, for neither.
        shift: likewise.
        relu: whether negative values become zero in the end.
    """

    pixels: PooledBuffer
    channels: int
    scale: ChannelVector | None = None
    shift: ChannelVector | None = None
    relu: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width, _ = self.pixels.array.shape
        return height, width

    def affine(self, scale: ChannelVector | float = 1.0, shift: ChannelVector | float = 0.0) -> "PendingTensor | None":
        """``scale * image + shift``, or None where that needs a pass: past a ReLU only what keeps the sign goes."""
        one = np.ones(self.channels)
        if self.relu and (np.any(shift) or not np.all(np.asarray(scale) >= 0)):
            return None
        old_scale, old_shift = (one, 0 * one) if self.scale is None or self.shift is None else (self.scale, self.shift)
        return replace(self, scale=old_scale * scale, shift=old_shift * scale + shift)

    def raw(self) -> "PendingTensor":
        """The stored values, with nothing pending."""
        return PendingTensor(pixels=self.pixels, channels=self.channels)

    def rectified(self) -> "PendingTensor":
        """The tensor with a ReLU pending."""
        return replace(self, relu=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class PendingSquare:
    """The elementwise square of a tensor, pending until a mean is taken of it."""

    of: PendingTensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PendingRowMean:
    """The means along the rows of a tensor or a square, pending until the mean of all pixels is taken."""

    of: PendingTensor | PendingSquare
