"""Smooth noise: its moments, its width, and its independence of the grid."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from ctpdeploy.phantom.fields import BSPLINE_ENERGY, LATTICE_BOX, Grid, _lattice, either, logistic, smooth_noise


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


def test_noise_is_normal() -> None:
    """On the lattice, by its moments and tails, and so everywhere."""
    values = _lattice(7, slice(0, 20), (60, 61)).ravel() * BSPLINE_ENERGY**1.5
    assert np.mean(values) == pytest.approx(0.0, abs=0.015)
    assert np.std(values) == pytest.approx(1.0, abs=0.01)
    assert np.mean(values**4) == pytest.approx(3.0, abs=0.12)
    assert np.mean(values > 2) == pytest.approx(0.0228, abs=0.0025)


def test_planes_have_the_noise_that_they_have_among_others() -> None:
    several = _lattice(7, slice(3, 9), (5, 7))
    np.testing.assert_array_equal(_lattice(7, slice(5, 6), (5, 7))[0], several[2])
    assert len(np.unique(several)) > 200


def test_noise_is_a_function_of_place_not_of_the_grid() -> None:
    coarse, fine = grid(32), grid(96)  # every centre of the coarse grid is one of the fine grid
    np.testing.assert_allclose(fine.x[1::3], coarse.x, atol=1e-9)
    at_coarse, at_fine = (smooth_noise(np.random.default_rng(3), 6.0, g) for g in (coarse, fine))
    np.testing.assert_allclose(at_fine[:, 1::3, 1::3], at_coarse, atol=1e-5)


@pytest.mark.parametrize("sigma", [1.5, 6.0, 40.0])
def test_a_field_is_a_sum_of_splines_on_the_lattice(sigma: float) -> None:
    """Of SciPy's B-splines, in float64; some are evaluated along z first, some last."""
    g = Grid.centred(size=24, slices=3, subslices=3, fov=200.0, thickness=8.0, bottom=0.0, centre_y=-17.0)
    pitch, key = np.sqrt(3) * sigma, int(np.random.default_rng(5).integers(2**63))
    counts = [int(np.ceil((high - low) / pitch)) + 3 for low, high in LATTICE_BOX]
    values = _lattice(key, slice(0, counts[0]), (counts[1], counts[2])).astype(float)
    for axis, ((low, _), centres) in enumerate(zip(LATTICE_BOX, (g.z, g.y, g.x), strict=True)):
        points = np.arange(counts[axis]) - 1
        spline = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
        weights = np.nan_to_num(spline(((centres - low) / pitch)[:, None] - points))
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    np.testing.assert_allclose(smooth_noise(np.random.default_rng(5), sigma, g), values, atol=1e-4)


def test_one_of_two_numbers() -> None:
    where = np.array([True, False])
    np.testing.assert_allclose(either(where, 35.7, -1000.3), [35.7, -1000.3], rtol=1e-6)
    assert either(where, 1, 2).dtype == np.float32


def test_logistic_does_not_overflow() -> None:
    np.testing.assert_allclose(logistic(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
