"""Smooth noise: its moments, its width, and its independence of the grid."""

import numpy as np
import pytest

from ctpdeploy.phantom.fields import Grid, logistic, smooth_noise


def grid(size: int = 64, *, slices: int = 4, subslices: int = 2) -> Grid:
    return Grid.centred(
        size=size, slices=slices, subslices=subslices, fov=230.0, thickness=8.0, bottom=0.0, centre_y=-17.0
    )


def test_grid_is_centred_and_averages_subslices() -> None:
    g = grid()
    assert g.shape == (4, 64, 64)
    assert g.spacing == (8.0, 230.0 / 64, 230.0 / 64)
    assert g.x.mean() == pytest.approx(0.0)
    assert g.y.mean() == pytest.approx(-17.0)
    np.testing.assert_allclose(g.z, [2, 6, 10, 14, 18, 22, 26, 30])
    values = np.arange(8.0)[:, None, None] * np.ones((1, 64, 64))
    np.testing.assert_allclose(g.average(values)[:, 0, 0], [0.5, 2.5, 4.5, 6.5])


@pytest.mark.parametrize("sigma", [3.0, 8.0])
def test_noise_has_unit_variance_and_the_width_of_a_gaussian(sigma: float) -> None:
    """White noise smoothed by a Gaussian of sigma has the autocorrelation exp(-d^2 / (4 sigma^2))."""
    g, lag = grid(116), 3
    fields = [smooth_noise(np.random.default_rng(seed), sigma, g) for seed in range(40)]
    assert np.mean(np.square(fields)) == pytest.approx(1.0, abs=0.06)
    correlation = np.mean([f[..., lag:] * f[..., :-lag] for f in fields])
    assert correlation == pytest.approx(np.exp(-((lag * g.spacing[2]) ** 2) / (4 * sigma**2)), abs=0.06)


def test_noise_is_a_function_of_place_not_of_the_grid() -> None:
    coarse, fine = grid(32), grid(96)  # every centre of the coarse grid is one of the fine grid
    np.testing.assert_allclose(fine.x[1::3], coarse.x, atol=1e-9)
    at_coarse, at_fine = (smooth_noise(np.random.default_rng(3), 6.0, g) for g in (coarse, fine))
    np.testing.assert_allclose(at_fine[:, 1::3, 1::3], at_coarse, atol=1e-5)


def test_logistic_does_not_overflow() -> None:
    np.testing.assert_allclose(logistic(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
