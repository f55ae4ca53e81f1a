"""Brains made of equations."""

import numpy as np

from ctpdeploy.phantom import Patient


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Numbers of version 0.1.0: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [28.0748, 13.6732, 23.7366, 33.0482],
        "peak": [32.9943, 21.3355, 24.8371, 43.0124],
        "ct": [29, 15, 26, 34],
        "cbf": [16, 31, 33, 34],
        "tmax": [6, 1.5, 10.5, 4],
        "dwi": [106.5144, 64.8665, 104.6471, 134.0103],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.maps}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("ICA-T", 153)
