"""The scans of claims/false_alarms.py, of a few patients."""

import numpy as np
import pytest
from false_alarms import GIVEN, SCANS, alarms, scan

from ctpdeploy.phantom import PhantomConfig, make_patient


@pytest.mark.parametrize("kind", [kind for kind in SCANS if not kind.startswith("maps")])
def test_a_right_case_is_not_refused(kind: str):
    for number in range(2):
        found = alarms((number, kind), seed=4, size=96)
        assert set(found) == set(GIVEN)
        assert not any(said.startswith("REFUSED") for said in found.values())


def test_half_the_contrast_is_half():
    patient = make_patient(np.random.SeedSequence(1), PhantomConfig(size=64, slices=2, noise_sigma=0.0))
    usual, _ = scan(patient, "as usual")
    faint, maps = scan(patient, "half the contrast")
    curves = [series[:, patient.brain].mean(axis=1) for series in (usual, faint)]
    heights = [float(curve.max() - curve[:5].mean()) for curve in curves]
    assert heights[1] == pytest.approx(heights[0] / 2, rel=0.15)
    assert maps == patient.maps
