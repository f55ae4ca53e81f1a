"""Maps beside their series: right ones pass, all others are doubted or refused."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.variants import vary
from ctpdeploy.runtime.quality.agreement import inspect_maps, rank_correlation
from ctpdeploy.runtime.quality.blocks import Blocks

Maps = dict[str, np.ndarray]


def codes(maps: Maps, patient: Patient) -> set[str]:
    return {found.code for found in inspect_maps(maps, Blocks.of(patient.series, patient.spacing))}


def exchanged(maps: Maps, one: str, other: str) -> Maps:
    return {**maps, one: maps[other], other: maps[one]}


WRONG: dict[str, tuple[Callable[[Maps], Maps], str]] = {
    "mirrored": (lambda maps: {name: volume[..., ::-1] for name, volume in maps.items()}, "maps-of-another"),
    "face down": (lambda maps: {name: volume[:, ::-1] for name, volume in maps.items()}, "maps-of-another"),
    "upside down": (lambda maps: {name: volume[::-1] for name, volume in maps.items()}, "maps-of-another"),
    "a quarter turn": (
        lambda maps: {name: np.rot90(volume, axes=(1, 2)) for name, volume in maps.items()},
        "maps-of-another",
    ),
    "15 mm aside": (
        lambda maps: {name: np.roll(volume, 8, axis=2) for name, volume in maps.items()},
        "maps-of-another",
    ),
    "8 mm aside": (lambda maps: {name: np.roll(volume, 4, axis=1) for name, volume in maps.items()}, "maps-of-another"),
    "CBF mirrored": (lambda maps: {**maps, "cbf": maps["cbf"][..., ::-1]}, "maps-of-another"),
    "CBF constant": (lambda maps: {**maps, "cbf": np.where(maps["cbf"] > 0, 50.0, 0.0)}, "maps-of-another"),
    "CBV as CBF": (lambda maps: exchanged(maps, "cbf", "cbv"), "maps-swapped"),
    "CBV as Tmax": (lambda maps: exchanged(maps, "cbv", "tmax"), "maps-of-another"),
    "CBF as Tmax": (lambda maps: exchanged(maps, "cbf", "tmax"), "maps-of-another"),
    "MTT as Tmax": (lambda maps: exchanged(maps, "mtt", "tmax"), "maps-swapped"),
    "MTT as CBF": (lambda maps: exchanged(maps, "mtt", "cbf"), "maps-of-another"),
    "one file twice": (lambda maps: {**maps, "mtt": maps["cbv"]}, "maps-identical"),
    "a background of 100": (lambda maps: {**maps, "tmax": np.where(maps["cbf"] > 0, maps["tmax"], 100)}, "maps-in-air"),
    "a background of 65535": (
        lambda maps: {**maps, "cbv": np.where(maps["cbf"] > 0, maps["cbv"], 65535)},
        "maps-in-air",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_maps_are_found(patient: Patient, name: str) -> None:
    spoil, code = WRONG[name]
    assert code in codes(spoil(dict(patient.maps)), patient)


@pytest.mark.parametrize(("number", "healthy"), [(3, False), (17, False), (20, True)])
def test_a_mirrored_tmax_is_found_though_both_sides_are_alike(number: int, healthy: bool) -> None:
    """Of patients whose Tmax agrees well enough either way."""
    seed = np.random.SeedSequence(3 if number == 3 else 77, spawn_key=(number,))
    patient = make_patient(seed, PhantomConfig(size=128, slices=2, healthy=healthy))
    mirrored = {**patient.maps, "tmax": patient.maps["tmax"][..., ::-1]}
    assert codes(patient.maps, patient) == set()
    assert codes(mirrored, patient) == {"maps-of-another"}


def test_maps_of_another_patient_are_found(patient: Patient) -> None:
    other = make_patient(np.random.SeedSequence(83), PhantomConfig(size=128, slices=4))
    assert codes(dict(other.maps), patient) == {"maps-of-another"}


@pytest.mark.parametrize("variant", [None, "low-dose", "healthy", "exponential", "comorbid"])
@pytest.mark.parametrize("slices", [2, 8])
def test_right_maps_have_no_finding(variant: str | None, slices: int) -> None:
    config = PhantomConfig(size=128, slices=slices)
    patient = make_patient(np.random.SeedSequence(84), vary(config, variant) if variant else config)
    assert codes(dict(patient.maps), patient) == set()


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_ranks_are_blind_to_units(patient: Patient, factor: float) -> None:
    assert codes({**patient.maps, "cbf": factor * patient.maps["cbf"]}, patient) == set()


def test_too_little_tissue_is_not_judged_and_that_is_said(patient: Patient) -> None:
    """Of one slice 16 pixels along each axis are left, 16 blocks at the most, and shown on the other side."""
    few = {name: np.zeros_like(volume) for name, volume in patient.maps.items()}
    for name, volume in patient.maps.items():
        few[name][2, 56:72, 34:50] = volume[2, 56:72, 34:50]
    assert (few["cbf"] > 0).sum() > 150
    assert codes({name: volume[..., ::-1] for name, volume in few.items()}, patient) == {"maps-not-compared"}


@pytest.mark.parametrize("levels", [3, 10_000])
def test_rank_correlation_is_spearmans(levels: int) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(levels, size=(2, 200))
    second = second + first
    assert_allclose(rank_correlation(first, second), stats.spearmanr(first, second).statistic, atol=1e-12)
    assert rank_correlation(first, np.ones(200)) == 0.0
