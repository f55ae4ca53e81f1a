"""Seconds that are none, and right ones."""

import numpy as np
import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.variants import vary
from ctpdeploy.runtime.quality.blocks import Blocks
from ctpdeploy.runtime.quality.durations import inspect_bolus, inspect_durations


def codes(patient: Patient, *, times: float = 1.0, **factors: float) -> list[str]:
    """What is found where times and maps are so many times as long as they are."""
    seen = Blocks.of(patient.series, patient.spacing)
    maps = {name: values * factors.get(name, 1.0) for name, values in patient.maps.items()}
    found = (*inspect_bolus(seen, times * patient.times), *inspect_durations(maps, seen, times * patient.times))
    return [each.code for each in found]


@pytest.mark.parametrize("variant", [None, "healthy", "low-dose", "box", "comorbid"])
def test_right_seconds_have_no_finding(variant: str | None) -> None:
    config = PhantomConfig(size=96, slices=4)
    assert codes(make_patient(np.random.SeedSequence(85), vary(config, variant) if variant else config)) == []


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_frame_interval_is_found(patient: Patient, factor: float) -> None:
    assert codes(patient, times=factor) == ["bolus-unusual", "durations-contradict"]


@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_maps_in_frames_are_found(patient: Patient, factor: float) -> None:
    assert "durations-contradict" in codes(patient, mtt=factor)
    assert codes(patient, tmax=factor) == ["durations-contradict"]


def test_unequal_times_count_as_long_as_they_are(patient: Patient) -> None:
    seen, times = Blocks.of(patient.series, patient.spacing), patient.times.copy()
    later = np.arange(len(times)) > np.argmax(seen.frames[:, seen.inside].mean(axis=1))
    times[later] += 1.5 * np.arange(1, later.sum() + 1)
    assert [found.code for found in inspect_bolus(seen, times)] == ["bolus-unusual"]


def test_without_a_brain_nothing_is_said(patient: Patient) -> None:
    seen = Blocks.of(np.full_like(patient.series, -1000.0), patient.spacing)
    assert list(inspect_bolus(seen, patient.times)) == []
    assert list(inspect_durations(patient.maps, seen, patient.times)) == []
