"""Products with matrices against the filters that they stand for."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctpdeploy.phantom.blur import blur, blur_within
from ctpdeploy.runtime.perfusion.smoothing import FWHM_PER_SIGMA, smooth_in_plane

SPACING = (5.0, 1.1, 1.7)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_an_image_is_smoothed_as_by_a_gaussian_filter(sigma: float) -> None:
    images = np.random.default_rng(0).random((2, 3, 24, 31), dtype=np.float32)
    widths = (0, 0, sigma / SPACING[1], sigma / SPACING[2])
    expected = gaussian_filter(images.astype(float), widths, mode="constant")
    np.testing.assert_allclose(blur(images, SPACING, sigma), expected, atol=1e-5)


def test_within_a_mask_as_the_runtime_does() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((3, 24, 31)) < 0.6
    volumes = rng.random((4, *mask.shape), dtype=np.float32)
    expected = smooth_in_plane(volumes, mask, SPACING, 1.8 * FWHM_PER_SIGMA)
    found = blur_within(mask, volumes, SPACING, 1.8)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not found[:, ~mask].any()
