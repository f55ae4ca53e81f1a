"""Noise, drift and the plain CT."""

import numpy as np
import pytest

from ctpdeploy.phantom.crop import Crop
from ctpdeploy.phantom.scanner import Dose, measure, plain_ct


def noise_of(frames: int, size: int, pixel: float, dose: Dose, seed: int) -> np.ndarray:
    """A series of nothing, measured."""
    crop = Crop(rows=slice(0, size), columns=slice(0, size), shape=(size, size))
    ideal = np.zeros((frames, 1, size, size), np.float32)
    noisy = measure(ideal, crop, np.eye(frames, dtype=np.float32), pixel, dose, np.random.default_rng(seed))
    assert not ideal.any()
    return noisy


def test_noise_has_the_given_sigma_and_frames_jitter_little() -> None:
    noisy = noise_of(20, 256, 0.9, Dose(sigma=5.0), 0)
    held = 0.945  # of the spectrum, at pixels of 0.9 mm
    assert noisy[..., 120:136, 120:136].std() == pytest.approx(held * 1.25 * 5.0, rel=0.03)
    jitter = noisy.mean(axis=(1, 2, 3)) - np.linspace(0, 0.4, 20)  # less the drift
    assert 0.01 < np.abs(jitter).max() < 0.051


def test_noise_is_normal_though_its_spectrum_is_of_bytes() -> None:
    values = noise_of(20, 128, 1.8, Dose(sigma=5.0), 3)[:, 0, 40:88, 40:88].ravel()
    values = (values - values.mean()) / values.std()
    assert abs(np.mean(values**3)) < 0.05
    assert np.mean(values**4) == pytest.approx(3.0, abs=0.1)


def test_white_noise_is_as_strong_at_all_frequencies() -> None:
    noisy = noise_of(30, 128, 0.9, Dose(sigma=5.0, noise="white"), 4)
    power = (np.abs(np.fft.fft2(noisy)) ** 2).mean(axis=(0, 1))[0]
    assert power[4:20].mean() == pytest.approx(power[44:60].mean(), rel=0.2)


def test_frames_between_those_of_the_scanner_are_interpolated() -> None:
    crop = Crop(rows=slice(8, 24), columns=slice(4, 28), shape=(32, 32))
    blend = np.array([[1, 0], [0.5, 0.5], [0, 1]], np.float32)
    frames = np.full((2, 2, 16, 24), 40.0, np.float32)
    first, between, last = measure(frames, crop, blend, 1.0, Dose(sigma=5.0), np.random.default_rng(0))
    np.testing.assert_allclose(between, (first + last) / 2, atol=1e-3)
    assert first[:, 8:24, 4:28].mean() == pytest.approx(40.0, abs=2.0)
    assert first[:, :8].mean() == pytest.approx(-1000.0, abs=2.0)


def test_larger_pixels_are_less_noisy_than_averaged_white_noise() -> None:
    """Ramp-filtered noise has little power at low frequencies: 4 x larger pixels keep less than 1/4 of the noise."""
    fine, coarse = (noise_of(10, size, 230 / size, Dose(sigma=5.0), 1).std() for size in (256, 64))
    assert 0.1 < coarse / fine < 0.25 * 1.1


def test_noise_power_rises_with_frequency_and_then_falls() -> None:
    noisy = noise_of(30, 128, 0.9, Dose(sigma=5.0), 2)
    power = (np.abs(np.fft.fft2(noisy)) ** 2).mean(axis=(0, 1))[0]
    frequency = np.fft.fftfreq(128, 0.9)
    low, middle, high = (
        power[(frequency > a) & (frequency <= b)].mean() for a, b in ((0.01, 0.05), (0.2, 0.3), (0.5, 0.56))
    )
    assert low < middle / 2
    assert high < middle / 1.5


def test_plain_ct_is_whole_numbers_cut_off_below() -> None:
    crop = Crop(rows=slice(0, 64), columns=slice(0, 64), shape=(64, 64))
    air = np.full((1, 64, 64), -1000.0, np.float32)
    ct = plain_ct(air, crop, 1.0, Dose(sigma=5.0), np.random.default_rng(0))
    assert ct.dtype == np.int32
    assert len(np.unique(ct)) == 1
    assert -30 <= ct[0, 0, 0] < -20
