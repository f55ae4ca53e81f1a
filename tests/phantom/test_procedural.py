"""Brains made of equations."""

import numpy as np

from ctpdeploy.phantom import Patient


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Of nothing but the phantom itself: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [30.2348, 32.52, 28.1273, 29.1507],
        "peak": [47.0814, 47.9689, 40.2795, 41.6916],
        "ct": [29, 34, 28, 29],
        "dwi": [103.762, 143.165, 157.046, 121.39],
        "cbf": [44.3418, 43.9709, 32.0484, 23.1424],
        "delay": [0.508877, 0.690833, 0.715494, 0.727824],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.truth}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("M2 superior", 139)
