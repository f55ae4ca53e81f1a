"""Frames on a uniform grid."""

import numpy as np

from ctpdeploy.runtime.perfusion.frames import resample_frames


def test_resampling_of_frames_is_linear() -> None:
    times, wanted = np.array([0.0, 1.0, 3.0, 4.0]), np.arange(0.0, 4.5, 0.5)
    series = np.stack([2 * times, -times], axis=1)
    np.testing.assert_allclose(resample_frames(series, times, wanted), np.stack([2 * wanted, -wanted], axis=1))
