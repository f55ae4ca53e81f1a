"""Healthy patients show next to nothing of a stroke, at every noise and in every slab."""

import numpy as np
import pytest
from ghosts import NOISES, SLICES, Ghosts, measure, summary


@pytest.mark.parametrize("slices", SLICES)
@pytest.mark.parametrize("noise", NOISES)
def test_a_healthy_patient_has_neither_core_nor_penumbra(slices: int, noise: float) -> None:
    scan = measure((slices, noise, 0), seed=3, size=128)
    assert scan.late_percent < 2.0
    assert scan.core_ml < 3.0
    assert 1.0 < scan.tmax < 4.5


def test_a_refused_scan_is_counted_and_left_out() -> None:
    scan = Ghosts(slices=2, noise=5.0, late_percent=1.0, core_ml=2.0, tmax=3.0)
    counts = summary([scan, Ghosts(slices=2, noise=5.0)])
    assert (counts["patients"], counts["refused"], counts["over_limit"]) == (2, 1, 0)
    assert counts["core_ml"] == {"median": 2.0, "largest": 2.0}
    assert np.isnan(Ghosts(slices=2, noise=5.0).core_ml)
