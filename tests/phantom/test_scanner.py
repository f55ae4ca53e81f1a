"""Noise, drift and the plain CT."""

import numpy as np
import pytest

from ctpdeploy.phantom.scanner import measure, plain_ct


def test_noise_has_the_given_sigma_and_little_drift() -> None:
    ideal = np.zeros((20, 1, 256, 256), np.float32)
    noisy = measure(ideal, 0.9, 5.0, np.random.default_rng(0))
    assert not ideal.any()
    assert noisy[..., 120:136, 120:136].std() == pytest.approx(1.25 * 5.0, rel=0.06)
    assert np.abs(noisy.mean(axis=(1, 2, 3))).max() <= 0.05


def test_larger_pixels_are_less_noisy_than_averaged_white_noise() -> None:
    """Ramp-filtered noise has little power at low frequencies: 4 x larger pixels keep less than 1/4 of the noise."""
    fine, coarse = (
        measure(np.zeros((10, 1, size, size), np.float32), 230 / size, 5.0, np.random.default_rng(1)).std()
        for size in (256, 64)
    )
    assert 0.1 < coarse / fine < 0.25 * 1.1


def test_noise_power_rises_with_frequency_and_then_falls() -> None:
    noisy = measure(np.zeros((30, 1, 128, 128), np.float32), 0.9, 5.0, np.random.default_rng(2))
    power = (np.abs(np.fft.fft2(noisy)) ** 2).mean(axis=(0, 1))[0]
    frequency = np.fft.fftfreq(128, 0.9)
    low, middle, high = (
        power[(frequency > a) & (frequency <= b)].mean() for a, b in ((0.01, 0.05), (0.2, 0.3), (0.5, 0.56))
    )
    assert low < middle / 2
    assert high < middle / 1.5


def test_plain_ct_is_whole_numbers_cut_off_below() -> None:
    ct = plain_ct(np.full((1, 64, 64), -1000.0, np.float32), 1.0, 5.0, np.random.default_rng(0))
    assert ct.dtype == np.int32
    assert len(np.unique(ct)) == 1
    assert -30 <= ct[0, 0, 0] < -20
