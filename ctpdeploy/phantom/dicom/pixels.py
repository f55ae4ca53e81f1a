"""Pixels: how HU are stored in the two bytes of a pixel (PS3.3 C.11.1, PS3.5 section 8)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["Pixels", "field_of_view"]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A way of storing HU: ``HU = slope * stored + intercept``.

    Attributes:
        signed: whether stored values are two's complement (Pixel Representation).
        bits: of a pixel in use (Bits Stored), the lower ones.
        slope: Rescale Slope.
        intercept: Rescale Intercept.
        padding: stored value outside the round field of view (Pixel Padding Value); None for an image to its corners.
    """

    signed: bool = True
    bits: int = 16
    slope: float = 1.0
    intercept: float = 0.0
    padding: int | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest value that can be stored."""
        return (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1) if self.signed else (0, 2**self.bits - 1)

    def require(self, low: int, high: int) -> None:
        """Refuse HU that are not all stored as they are.

        Args:
            low: the least of them.
            high: the largest.

        Raises:
            InputError: whole numbers from one to the other would be changed.
        """
        ends = sorted(self.slope * end + self.intercept for end in self.limits)
        whole = (1 / self.slope).is_integer() and (self.intercept / self.slope).is_integer()
        if not whole or low < ends[0] or high > ends[1]:
            raise InputError(
                f"HU from {low} to {high} cannot be stored in {self.bits} bits with slope {self.slope:g} and intercept "
                f"{self.intercept:g}: cut the series off at {ends[0]:g} and {ends[1]:g}, or choose another layout."
            )

    def store(self, hu: NDArray[np.int16], outside: BoolArray | None = None) -> NDArray[Any]:
        """Stored values of HU for which :meth:`require` passed, int16 or uint16, with 0 above the highest bit in use.

        Args:
            hu: ``(..., J, I)``.
            outside: pixels that get the padding, ``(J, I)``; None for none.
        """
        values = ((hu.astype(np.float32) - np.float32(self.intercept)) / np.float32(self.slope)).astype(np.int32)
        if outside is not None and self.padding is not None:
            values[..., outside] = self.padding
        return (values & (2**self.bits - 1)).astype("<u2").view("<i2" if self.signed else "<u2")


def field_of_view(rows: int, columns: int) -> BoolArray:
    """Pixels within the largest circle of an image ``(rows, columns)``."""
    down, along = np.ogrid[:rows, :columns]
    radius = min(rows, columns) / 2
    return (down - (rows - 1) / 2) ** 2 + (along - (columns - 1) / 2) ** 2 <= radius**2
