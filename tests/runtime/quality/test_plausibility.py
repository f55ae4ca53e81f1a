"""Doubts about the input."""

import dataclasses

import numpy as np
import pytest

from ctpdeploy.runtime import Case, PerfusionConfig
from ctpdeploy.runtime.quality.plausibility import implausible


def test_swapped_maps_are_noticed(phantom_case: Case):
    assert implausible(phantom_case) == ()
    maps = dict(phantom_case.maps)
    maps["cbf"], maps["cbv"] = maps["cbv"], maps["cbf"]
    assert implausible(dataclasses.replace(phantom_case, maps=maps))[0].code == "maps-contradict"
    empty = {name: np.zeros_like(volume) for name, volume in maps.items()}
    assert implausible(dataclasses.replace(phantom_case, maps=empty))[0].code == "maps-empty"


@pytest.mark.parametrize(
    ("healthy", "codes"),
    [(0.2, ["tmax-low"]), (1.2, []), (3.5, []), (4.4, []), (5.5, ["tmax-high"])],
)
@pytest.mark.parametrize("stroke_is_right", [True, False])
def test_delay_of_the_healthier_hemisphere(phantom_case: Case, healthy: float, codes: list[str], stroke_is_right: bool):
    tmax = np.full_like(phantom_case.maps["tmax"], healthy)
    half = tmax.shape[2] // 2
    tmax[..., half:] = 9.0
    maps = dict(phantom_case.maps) | {"tmax": tmax if stroke_is_right else tmax[..., ::-1]}
    found = implausible(dataclasses.replace(phantom_case, maps=maps))
    assert [one.code for one in found] == codes
    assert all(f"is {healthy:.2g} s, " in one.sentence for one in found)


def test_an_onset_of_none_is_no_sign_of_a_vein(phantom_case: Case):
    maps = dict(phantom_case.maps) | {"tmax": np.zeros_like(phantom_case.maps["tmax"])}
    for tmax, codes in (("maximum", ["tmax-low"]), ("onset", [])):
        case = dataclasses.replace(phantom_case, maps=maps, perfusion=PerfusionConfig(tmax=tmax))
        assert [one.code for one in implausible(case)] == codes


def test_a_scan_of_one_hemisphere_has_no_other(phantom_case: Case):
    half = phantom_case.maps["tmax"].shape[2] // 2
    maps = {name: volume.copy() for name, volume in phantom_case.maps.items()}
    for volume in maps.values():
        volume[..., :half] = 0.0
    maps["tmax"][..., half:] = 3.0
    assert implausible(dataclasses.replace(phantom_case, maps=maps)) == ()


@pytest.mark.parametrize(("factor", "said"), [(1.0, False), (10.0, True)])
def test_tmax_in_tenths_is_longer_than_its_series(phantom_case: Case, factor: float, said: bool):
    late = np.maximum(phantom_case.maps["tmax"], 0.3 * np.linspace(0, 24, phantom_case.maps["tmax"].shape[2]))
    maps = {**phantom_case.maps, "tmax": factor * late.astype(np.float32)}
    codes = {one.code for one in implausible(dataclasses.replace(phantom_case, maps=maps))}
    assert ("tmax-too-long" in codes) == said
