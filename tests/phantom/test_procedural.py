"""Brains made of equations."""

import numpy as np

from ctpdeploy.phantom import Patient


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Of nothing but the phantom itself: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [],
        "peak": [],
        "ct": [],
        "dwi": [],
        "cbf": [],
        "delay": [],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.truth}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("ICA-T", 153)
