"""Brains made of equations."""

import numpy as np

from ctpdeploy.phantom import Patient


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Of nothing but the phantom itself: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [34.865, 35.843, 28.9919, 37.2601],
        "peak": [44.2366, 51.386, 37.3494, 53.9319],
        "ct": [33, 35, 29, 36],
        "dwi": [121.8233, 165.52, 134.2606, 174.2092],
        "cbf": [34.5681, 69.6275, 25.0183, 54.3823],
        "delay": [0.7155, 0.6785, 0.7278, 0.6785],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.truth}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("M2 superior", 186)
