"""Map styles: how the workstations of makers write perfusion maps, as far as readers look at it, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.quantities import QUANTITIES
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["MAPPED", "PARAMETRIC", "Encoding", "MapStyle", "stored_numbers"]

Encoding = Literal["mapped", "rescaled", "parametric", "double", "integers", "enhanced", "colours"]
"""CT images with a mapping to real world values, or whose rescale has the type of a unit; a Parametric Map of float32,
float64 or 16 bits a quantity; one Enhanced CT image of all; pictures, which hold no values."""


@dataclass(frozen=True, kw_only=True)
class MapStyle:
    """A style.

    Attributes:
        encoding: of the numbers.
        pixels: how whole numbers are stored; their slope is that of maps whose ``slopes`` are not given.
        slopes: of some maps, in the unit as it is stated.
        description: of a series, filled in with the ``label`` of its map.
        labels: words for some maps; those of ``QUANTITIES`` for the others.
        codes: of some maps, likewise.
        units: of some maps as they are stated, with how many of them 1 of ``MAP_UNITS`` is; likewise.
    """

    encoding: Encoding = "mapped"
    pixels: Pixels = field(default_factory=lambda: Pixels(signed=False, slope=0.01))
    slopes: Mapping[str, float] = field(default_factory=dict)
    description: str = "{label} MAP"
    labels: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    def label(self, name: str) -> str:
        """The word for a map."""
        return self.labels.get(name, QUANTITIES[name].label)

    def unit(self, name: str) -> tuple[str, float]:
        """The unit of a map, and how many of it 1 of ``MAP_UNITS`` is."""
        return self.units.get(name, (QUANTITIES[name].unit, 1.0))

    def slope(self, name: str) -> float:
        """Of a stored 1, in that unit."""
        return self.slopes.get(name, self.pixels.slope)


MAPPED: Final = MapStyle()
PARAMETRIC: Final = MapStyle(encoding="parametric")
GE_MAPS: Final = MapStyle(
    encoding="rescaled",
    pixels=Pixels(slope=0.01),
    description="{label}",
    labels={"cbf": "Blood Flow", "cbv": "Blood Volume", "mtt": "MTT", "tmax": "Tmax"},
    units={"cbf": ("ml/100g/min", 1.0), "cbv": ("ml/100g", 1.0)},
)
SIEMENS_MAPS: Final = MapStyle(
    pixels=Pixels(signed=False, bits=12),
    slopes={"cbf": 0.05, "cbv": 0.01, "mtt": 10.0, "tmax": 10.0},
    description="VPCT {label}",
    units={
        "cbf": ("ml/(100.ml)/min", 1.04),
        "cbv": ("ml/(100.ml)", 1.04),
        "mtt": ("ms", 1000.0),
        "tmax": ("ms", 1000.0),
    },
)
CANON_MAPS: Final = MapStyle(
    encoding="enhanced",
    slopes={"cbf": 0.1, "cbv": 0.01, "mtt": 0.001, "tmax": 0.002},
    description="Perfusion results",
)
PHILIPS_MAPS: Final = MapStyle(
    encoding="integers",
    description="{label}, Brain Perfusion",
    codes={"cbf": "126390", "cbv": "126391"},
    labels={"tmax": "T max"},
    units={"cbf": ("ml/min/(100.g)", 1.0)},
)
UIH_MAPS: Final = MapStyle(encoding="double", description="{label}", labels={"tmax": "Time to Maximum"})
COLOUR_MAPS: Final = MapStyle(encoding="colours", description="{label} COLOUR")


def stored_numbers(values: FloatArray, name: str, style: MapStyle) -> NDArray[Any]:
    """Whole numbers that a map is stored as, int16 or uint16; what does not fit is cut off."""
    _, times = style.unit(name)
    kind = np.int16 if style.pixels.signed else np.uint16
    return np.clip(np.rint(values * times / style.slope(name)), *style.pixels.limits).astype(kind)
