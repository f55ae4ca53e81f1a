"""Brains made of equations."""

import numpy as np

from ctpdeploy.phantom import Patient


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Of nothing but the phantom itself: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [34.8659, 29.1857, 18.8832, 34.3686],
        "peak": [57.0346, 39.9588, 26.4793, 53.835],
        "ct": [34, 31, 19, 34],
        "dwi": [129.2354, 121.2025, 87.055, 146.4068],
        "cbf": [56.0566, 24.5325, 14.4829, 51.5084],
        "delay": [0.6785, 0.7278, 0.169626, 0.6908],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.truth}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("M2 superior", 134)
