"""Limits of a CT perfusion scan of a head, in one table: what no scan has, whatever it was read from, is refused."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["DISTANCE", "FIELD", "INTERVAL", "LENGTH", "LIMITS", "VOXEL", "Limit", "require_limits"]

_ROUNDING: Final = 1e-3
"""Of a limit: what rounding in a header may add, as where 512 columns of 0.9766 mm are called 0.977 mm."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The values that a quantity can have.

    Attributes:
        what: the quantity, with its article.
        low: the least value.
        high: the greatest.
        unit: of both.
        remedy: what to do about another value, an imperative.
    """

    what: str
    low: float
    high: float
    unit: str
    remedy: str

    def holds(self, value: float) -> bool:
        """Whether a value lies within; NaN does not."""
        return self.low * (1 - _ROUNDING) <= value <= self.high * (1 + _ROUNDING)

    def require(self, value: float, called: str) -> None:
        """Refuse a value outside.

        Args:
            value: in ``unit``.
            called: name of the case or file, for the error.

        Raises:
            InputError: it lies outside.
        """
        if not self.holds(value):
            raise InputError(
                f"{called} has {self.what} of {value:.6g} {self.unit}, where {self.low:g} to {self.high:g} "
                f"{self.unit} are possible: {self.remedy}."
            )


_TIMES: Final = "give the right one, for NIfTI files as --frame-interval"
_SIZES: Final = "correct its voxel size"

INTERVAL: Final = Limit(what="an interval between frames", low=0.2, high=10.0, unit="s", remedy=_TIMES)
LENGTH: Final = Limit(what="a time from the first frame to the last", low=15.0, high=200.0, unit="s", remedy=_TIMES)
FIELD: Final = Limit(what="a field of view", low=80.0, high=500.0, unit="mm", remedy=_SIZES)
DISTANCE: Final = Limit(what="a distance between slices", low=0.2, high=30.0, unit="mm", remedy=_SIZES)
VOXEL: Final = Limit(what="a voxel with a side", low=0.1, high=30.0, unit="mm", remedy=_SIZES)

LIMITS: Final = (INTERVAL, LENGTH, FIELD, DISTANCE, VOXEL)
"""All of them; ``docs/files.md`` lists them from here."""


def require_limits(
    called: str, grid: tuple[int, int, int], spacing: tuple[float, float, float], times: FloatArray
) -> None:
    """Refuse a scan that no scanner makes of a head.

    Args:
        called: name of the case or its series, for the error.
        grid: number of slices, rows and columns.
        spacing: between them ``(dz, dy, dx)`` in mm.
        times: of the frames ``(T,)`` in s, T >= 2. The interval is the median of theirs, since some protocols end in
            frames farther apart.

    Raises:
        InputError: a quantity lies outside its limit.
    """
    INTERVAL.require(float(np.median(np.diff(times))), called)
    LENGTH.require(float(times[-1] - times[0]), called)
    DISTANCE.require(spacing[0], called)
    for count, size in zip(grid[1:], spacing[1:], strict=True):
        VOXEL.require(size, called)
        FIELD.require(count * size, called)
