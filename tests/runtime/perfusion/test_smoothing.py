"""Smoothing within the brain."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpdeploy.runtime.perfusion.smoothing import smooth_in_plane


@settings(max_examples=25)
@given(level=st.floats(-50.0, 50.0), fwhm=st.floats(0.0, 12.0))
def test_smoothing_keeps_a_constant_and_takes_nothing_from_outside(level: float, fwhm: float) -> None:
    mask = np.zeros((2, 16, 16), dtype=bool)
    mask[0, 3:12, 5:9] = True
    volume = np.where(mask, level, 1e6)
    np.testing.assert_allclose(
        smooth_in_plane(volume, mask, (5.0, 1.0, 1.0), fwhm), np.where(mask, level, 0), atol=1e-3
    )
