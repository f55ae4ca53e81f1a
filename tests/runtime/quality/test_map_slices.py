"""Single slices of maps that are another's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.map_studies import given

from ctpdeploy.runtime.quality.map_slices import inspect_slices


def test_right_maps_are_right_in_each_slice():
    assert inspect_slices(given()) == ()


SPOILED: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "mirrored flow": ("cbf", lambda image: image[:, ::-1]),
    "mirrored volume": ("cbv", lambda image: image[:, ::-1]),
    "mirrored transit time": ("mtt", lambda image: image[:, ::-1]),
    "mirrored delay": ("tmax", lambda image: image[:, ::-1]),
    "no delay": ("tmax", np.zeros_like),
    "no transit time": ("mtt", np.zeros_like),
    "a tenth of the delay": ("tmax", lambda image: image / 10),
    "tenfold volume": ("cbv", lambda image: 10 * image),
}


@pytest.mark.parametrize("fault", SPOILED)
@pytest.mark.parametrize("place", range(4))
def test_one_slice_is_enough(fault: str, place: int):
    name, change = SPOILED[fault]
    case = given()
    volume = case.maps[name].copy()
    volume[place] = change(volume[place])
    found = inspect_slices(replace(case, maps={**case.maps, name: volume}))
    assert {one.code for one in found} == {"maps-of-another"}
    assert any(f"Slice {place} (counted from 0)" in str(one) for one in found)


def test_delays_that_stand_upside_down_are_found():
    case = given()
    found = inspect_slices(replace(case, maps={**case.maps, "tmax": case.maps["tmax"][::-1]}))
    assert any("Tmax goes better with the series upside down" in str(one) for one in found)
