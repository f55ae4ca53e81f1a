"""The mean before the contrast agent."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.quality.baseline import baseline_mean


@pytest.mark.parametrize(("frames", "first"), [(2, 2), (24, 2), (36, 3), (48, 4)])
def test_it_is_of_a_twelfth_of_the_frames_and_of_two_at_least(frames: int, first: int) -> None:
    series = np.arange(frames)[:, None] * np.ones((1, 3))
    assert_array_equal(baseline_mean(series), np.full(3, (first - 1) / 2))


@pytest.mark.parametrize(("given", "found"), [("int16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_whole_numbers_are_averaged_in_float32(given: str, found: str) -> None:
    assert baseline_mean(np.ones((24, 2), dtype=given)).dtype == found
