"""What stands for a tensor between the kernels: an image, and what its readers do to its values.

A normalisation at its end, a ReLU and the scale of Squeeze-and-Excitation are noted and done by whoever reads the
image next, a concatenation is a tuple of images: none of them is a pass over memory.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.buffer_pool import Pixels

__all__ = ["Column", "Image", "Row", "Square"]

Column = NDArray[Any]
"""One value for each channel, float64 ``(C,)``, or ``(1,)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """``max(scale * x + shift, 0)`` of pixels x.

    Attributes:
        pixels: the values; channels beyond ``channels`` are zero.
        channels: of the tensor.
        scale: of each channel, float64 ``(C,)``; None with ``shift``, and only with it, for neither.
        shift: likewise.
        relu: whether negative values become zero in the end.
    """

    pixels: Pixels
    channels: int
    scale: Column | None = None
    shift: Column | None = None
    relu: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width, _ = self.pixels.array.shape
        return height, width

    def affine(self, scale: Column | float = 1.0, shift: Column | float = 0.0) -> "Image | None":
        """``scale * image + shift``, or None where that needs a pass: past a ReLU only what keeps the sign goes."""
        one = np.ones(self.channels)
        if self.relu and (np.any(shift) or not np.all(np.asarray(scale) >= 0)):
            return None
        old_scale, old_shift = (one, 0 * one) if self.scale is None or self.shift is None else (self.scale, self.shift)
        return replace(self, scale=old_scale * scale, shift=old_shift * scale + shift)

    def bare(self) -> "Image":
        """The pixels as they are."""
        return Image(pixels=self.pixels, channels=self.channels)

    def rectified(self) -> "Image":
        """After a ReLU."""
        return replace(self, relu=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Square:
    """The square of every value of an image, of which there will be a mean."""

    of: Image


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """The mean of every row of an image or a square, of which there will be a mean."""

    of: Image | Square
