"""Units of maps: what is written in many ways is one, and nothing is guessed."""

import pytest

from ctpdeploy.runtime.data.case import MAP_UNITS
from ctpdeploy.runtime.data.map_units import FACTORS, factor_to

KNOWN = {
    ("ml/100g/min", "ml/(100.g)/min"): 1.0,
    ("ml/100g/min", "ml/(100.g.min)"): 1.0,
    ("ml/100g/min", "mL/min/100g"): 1.0,
    ("ml/100g/min", "ml / 100 g / min"): 1.0,
    ("ml/100g/min", "ml/(100.ml)/min"): 0.9615385,
    ("ml/100g/min", "ml/100ml/s"): 57.692308,
    ("ml/100g/min", "ml/g/min"): 100.0,
    ("ml/100g/min", "0.1 ml/100g/min"): 0.1,
    ("ml/100g", "mL/(100.g)"): 1.0,
    ("ml/100g", "ml/100ml"): 0.9615385,
    ("s", "s"): 1.0,
    ("s", "SEC"): 1.0,
    ("s", "ms"): 0.001,
    ("s", "0.1s"): 0.1,
}


@pytest.mark.parametrize(("unit", "stated"), KNOWN)
def test_a_unit_is_known_however_it_is_written(unit: str, stated: str):
    assert factor_to(unit, stated) == pytest.approx(KNOWN[unit, stated], rel=1e-7)


@pytest.mark.parametrize("stated", ["", "%", "1", "HU", "US", "ml", "min", "ml/100g/hour", "01s", "[arb'U]", "s-1"])
def test_what_may_be_anything_is_no_unit(stated: str):
    assert [factor_to(unit, stated) for unit in FACTORS] == [None, None, None]


def test_every_map_has_units_and_none_is_of_two():
    assert set(FACTORS) == set(MAP_UNITS.values())
    names = [name for of_unit in FACTORS.values() for name in of_unit]
    assert len(set(names)) == len(names)
    assert all(FACTORS[unit][unit] == 1.0 for unit in FACTORS)
