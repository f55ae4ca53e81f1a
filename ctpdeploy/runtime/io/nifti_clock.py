"""How far apart a NIfTI header says that its frames are: pixdim in the unit of ``xyzt_units``, if both can be."""

import math
from dataclasses import dataclass, replace
from typing import Final

import nibabel as nib

from ctpdeploy.runtime.data.case import IntervalSource
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.io.limits import INTERVAL
from ctpdeploy.runtime.io.nifti_header import SPATIAL_UNIT, grid_of

__all__ = ["Clock", "Interval"]

_UNITS: Final = {8: ("s", 1.0), 16: ("ms", 1e-3), 24: ("us", 1e-6)}
"""Of the codes of ``xyzt_units``: name and seconds. No two of them make possible intervals of one number."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The time between two frames.

    Attributes:
        seconds: it; possible for a perfusion scan or not.
        source: what stated it.
        findings: assumptions and contradictions.
    """

    seconds: float
    source: IntervalSource
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clock:
    """What a header says of time.

    Attributes:
        step: pixdim of the last axis longer than one behind the third; 0 where there is none.
        unit: code of ``xyzt_units`` for time; 0 where it states none.
    """

    step: float
    unit: int

    @classmethod
    def of(cls, header: nib.Nifti1Header) -> "Clock":
        """The clock of a header, as :func:`ctpdeploy.runtime.io.nifti_header.read_header` reads it."""
        shape = grid_of(header)
        steps = [float(header["pixdim"][1 + axis]) for axis in range(3, len(shape)) if shape[axis] > 1]
        units = int(header["xyzt_units"])
        return cls(step=steps[-1] if steps else 0.0, unit=units - (units & SPATIAL_UNIT))

    def interval(self) -> Interval:
        """The interval between frames.

        The number is taken in the unit stated. Files exist whose unit contradicts it: where that makes an impossible
        interval, and another unit a possible one, the other is taken, and said. Without a unit the one is taken that
        makes a possible interval.
        """
        if not math.isfinite(self.step) or self.step <= 0:
            sentence = "The header does not state how far apart the frames are: 1 s is assumed."
            return Interval(seconds=1.0, source="assumed", findings=(finding("interval-assumed", sentence),))
        possible = {code: name for code, (name, unit) in _UNITS.items() if INTERVAL.holds(self.step * unit)}
        if self.unit in _UNITS and (self.unit in possible or not possible):
            return Interval(seconds=self.step * _UNITS[self.unit][1], source="xyzt_units")
        name, unit = _UNITS[next(iter(possible), 8)]
        taken = Interval(seconds=self.step * unit, source="pixdim")
        if self.unit == 0:
            return taken
        said = _UNITS[self.unit][0] if self.unit in _UNITS else f"a unit that is none of time ({self.unit})"
        sentence = f"Frames are {self.step:g} {said} apart by xyzt_units: {self.step:g} {name} is taken."
        return replace(taken, findings=(finding("interval-unit-contradicts", sentence),))
