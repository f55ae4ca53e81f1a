"""Doubts about the input."""

import dataclasses

import numpy as np

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.quality.plausibility import implausible


def test_swapped_maps_are_noticed(phantom_case: Case):
    assert implausible(phantom_case) == ()
    maps = dict(phantom_case.maps)
    maps["cbf"], maps["cbv"] = maps["cbv"], maps["cbf"]
    assert implausible(dataclasses.replace(phantom_case, maps=maps))[0].code == "maps-contradict"
    empty = {name: np.zeros_like(volume) for name, volume in maps.items()}
    assert implausible(dataclasses.replace(phantom_case, maps=empty))[0].code == "maps-empty"
