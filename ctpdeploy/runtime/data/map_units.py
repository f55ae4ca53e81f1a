"""Map units: what else flows, volumes and times are counted in, in the units of ``MAP_UNITS``."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["DENSITY", "FACTORS", "factor_to", "plain_unit"]

DENSITY: Final = 1.04
"""rho, density of brain tissue in g/ml."""

FACTORS: Final[Mapping[str, Mapping[str, float]]] = {
    "ml/100g/min": {
        **dict.fromkeys(("ml/100g/min", "ml/min/100g", "ml/100gmin", "ml/min100g"), 1.0),
        **dict.fromkeys(("ml/100ml/min", "ml/min/100ml", "ml/100mlmin", "ml/min100ml"), 1 / DENSITY),
        **dict.fromkeys(("ml/100g/s", "ml/s/100g"), 60.0),
        **dict.fromkeys(("ml/100ml/s", "ml/s/100ml"), 60 / DENSITY),
        **dict.fromkeys(("ml/g/min", "ml/min/g"), 100.0),
        **dict.fromkeys(("ml/ml/min", "ml/min/ml"), 100 / DENSITY),
        "0.1ml/100g/min": 0.1,
    },
    "ml/100g": {"ml/100g": 1.0, "ml/100ml": 1 / DENSITY, "ml/g": 100.0, "ml/ml": 100 / DENSITY, "0.1ml/100g": 0.1},
    "s": {**dict.fromkeys(("s", "sec", "second", "seconds"), 1.0), **dict.fromkeys(("ms", "msec"), 1e-3), "0.1s": 0.1},
}
"""By the unit of a map, what 1 in another unit is in it; those as :func:`plain_unit` writes them. A share, as ``%``, is
none: it may be one of anything."""


def plain_unit(stated: str) -> str:
    """A unit without its capitals, brackets, spaces and points of multiplication.

    So ``ml/(100.g)/min`` of UCUM and ``mL / 100 g / min`` of people are one.
    """
    text = re.sub(r"[\s()*·]", "", stated.casefold())
    return re.sub(r"(?<!\d)\.|\.(?!\d)", "", text)


def factor_to(unit: str, stated: str) -> float | None:
    """What 1 in a unit is in that of a map; None where it is no unit of that kind.

    Args:
        unit: of the map, one of ``MAP_UNITS``.
        stated: as a header states it, in UCUM or in usual words.
    """
    return FACTORS[unit].get(plain_unit(stated))
