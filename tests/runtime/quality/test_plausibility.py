"""Doubts about the input."""

import dataclasses

import numpy as np

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.quality.plausibility import implausible


def test_swapped_maps_are_noticed(phantom_case: Case):
    assert implausible(phantom_case) == ()
    maps = dict(phantom_case.maps)
    maps["cbf"], maps["cbv"] = maps["cbv"], maps["cbf"]
    assert "swapped" in implausible(dataclasses.replace(phantom_case, maps=maps))[0]
    empty = {name: np.zeros_like(volume) for name, volume in maps.items()}
    assert "empty" in implausible(dataclasses.replace(phantom_case, maps=empty))[0]
