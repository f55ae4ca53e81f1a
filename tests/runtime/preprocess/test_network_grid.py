import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.heads import BRAIN, case_of, head

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.preprocess.network_grid import NetworkGrid, triangle


def blank(shape: tuple[int, int, int] = (2, 32, 48), spacing: tuple[float, float, float] = (5.0, 1.0, 1.0)) -> Case:
    return case_of(np.full(shape, -1000.0), spacing)


@given(pixel=st.floats(0.3, 3.0))
def test_the_networks_own_grid_is_left_as_it_is(pixel: float):
    case = blank(spacing=(5.0, pixel, pixel))
    grid, volume = NetworkGrid.of_slice(case, (32, 48)), case.series[0]
    assert grid.resample(volume) is volume
    assert grid.restore(volume) is volume


@settings(max_examples=30)
@given(
    height=st.integers(17, 90),
    width=st.integers(17, 90),
    dy=st.floats(0.4, 2.0),
    dx=st.floats(0.4, 2.0),
    shape=st.sampled_from([(32, 32), (64, 64), (48, 96)]),
)
def test_resampling_keeps_places_and_the_way_back_returns(
    height: int, width: int, dy: float, dx: float, shape: tuple[int, int]
):
    """A linear ramp in mm stays that ramp on the other grid, and comes back as it was, away from the borders."""
    grid = NetworkGrid.of_slice(blank((1, height, width), (5.0, dy, dx)), shape)
    y = (np.arange(height) - (height - 1) / 2) * dy
    x = (np.arange(width) - (width - 1) / 2) * dx
    ramp = (500 + 2 * y[:, None] - x[None, :])[None].astype(np.float32)
    there = grid.resample(ramp)
    assert there.shape == (1, *shape)
    pixel = max(height * dy / shape[0], width * dx / shape[1])
    v = (np.arange(shape[0]) - (shape[0] - 1) / 2) * pixel
    u = (np.arange(shape[1]) - (shape[1] - 1) / 2) * pixel
    margin = 2 * max(pixel, dy, dx)
    tolerance = 0.1 * 3 * max(pixel, dy, dx)  # the ramp climbs by 3 per mm at most
    rows, columns = np.abs(v) < height * dy / 2 - margin, np.abs(u) < width * dx / 2 - margin
    expected = 500 + 2 * v[:, None] - u[None, :]
    assert_allclose(there[0][np.ix_(rows, columns)], expected[np.ix_(rows, columns)], atol=tolerance)
    back = grid.restore(there)
    assert back.shape == ramp.shape
    rows, columns = np.abs(y) < height * dy / 2 - 2 * margin, np.abs(x) < width * dx / 2 - 2 * margin
    assert_allclose(back[0][np.ix_(rows, columns)], ramp[0][np.ix_(rows, columns)], atol=tolerance)


def test_outside_the_source_there_is_air():
    there = NetworkGrid.of_slice(blank((1, 20, 40)), (64, 64)).resample(np.ones((1, 20, 40), dtype=np.float32))
    assert not there[0, :15].any()
    assert not there[0, -15:].any()
    assert_allclose(there[0, 20:44], 1.0, rtol=1e-6)


@pytest.mark.parametrize("pixel", [0.45, 0.9, 1.0, 1.8, 2.6])
@pytest.mark.parametrize("middle", [(120.0, 105.0), (93.0, 131.0)])
def test_a_head_lies_in_the_middle_wherever_it_lay_in_the_slice(pixel: float, middle: tuple[float, float]):
    case = head(middle, (round(230 / pixel), round(230 / pixel)), pixel)
    grid = NetworkGrid.of_head(case, (96, 80), 2.0)
    assert grid.beyond_mm == 0.0
    brain = grid.resample((case.series[0] == BRAIN).astype(np.float32))[0]
    rows, columns = np.flatnonzero(brain.max(axis=1) > 0.5), np.flatnonzero(brain.max(axis=0) > 0.5)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(47.5, abs=2.6 / 2)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(39.5, abs=2.6 / 2)
    assert brain.sum() * 4.0 == pytest.approx(np.pi * 70**2, rel=0.02)  # square millimetres stay so many


@pytest.mark.parametrize("pixel", [0.45, 0.9, 1.8, 2.6])
def test_what_is_drawn_on_the_head_comes_back_to_its_place(pixel: float):
    """A disk of 20 mm, drawn on the networks' grid, lies in the case where it was drawn, to half a millimetre."""
    case = head((110.0, 120.0), (round(230 / pixel), round(230 / pixel)), pixel)
    grid = NetworkGrid.of_head(case, (96, 80), 2.0)
    (y0, x0), (dy, dx) = grid.starts, grid.steps
    y, x = (y0 + np.arange(96) * dy) * pixel, (x0 + np.arange(80) * dx) * pixel
    drawn = (np.hypot(y[:, None] - 130.0, x - 95.0) < 20).astype(np.float32)
    back = grid.restore(np.stack([drawn] * 2))[0] > 0.5
    places = np.argwhere(back) * pixel
    assert_allclose(places.mean(axis=0), (130.0, 95.0), atol=0.5)
    assert back.sum() * pixel**2 == pytest.approx(np.pi * 20**2, rel=0.05)


def test_pixels_of_the_same_size_are_cut_out_and_put_back_unchanged():
    case = head((101.0, 120.0), (230, 230), 1.0)
    grid = NetworkGrid.of_head(case, (208, 160), 1.0)
    image = np.random.default_rng(0).normal(size=case.series.shape[1:]).astype(np.float32)
    there = grid.resample(image)
    top, left = (int(start) for start in grid.starts)
    assert (top, left) == grid.starts
    assert_array_equal(there[:, -top:] if top < 0 else there, image[:, max(top, 0) : top + 208, left : left + 160])
    back = grid.restore(there)
    assert_array_equal(back[:, max(top, 0) : top + 208, left : left + 160], there[:, max(-top, 0) :])
    assert not back[:, :, :left].any()
    assert not back[:, top + 208 :].any()


def test_the_brain_is_looked_for_once_a_case(monkeypatch: pytest.MonkeyPatch):
    looked = []

    def look(image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        looked.append(image)
        return brain_mask(image, spacing)

    monkeypatch.setattr("ctpdeploy.runtime.preprocess.network_grid.brain_mask", look)
    case, other = head((101.0, 120.0), (230, 230), 1.0), head((115.0, 115.0), (230, 230), 1.0)
    grids = [NetworkGrid.of_head(one, (96, 80), 2.0) for one in (case, other, case)]
    assert grids[0] == grids[2] != grids[1]
    assert len(looked) == 2


def test_a_brain_that_reaches_beyond_the_field_is_known():
    case = head((115.0, 115.0), (230, 230), 1.0)
    assert NetworkGrid.of_head(case, (128, 208), 1.0).beyond_mm == pytest.approx((140 - 128) / 2, abs=3)
    assert NetworkGrid.of_head(case, (208, 96), 1.0).beyond_mm == pytest.approx((140 - 96) / 2, abs=3)


def test_without_a_brain_the_field_lies_in_the_middle_of_the_slice():
    grid = NetworkGrid.of_head(blank((2, 100, 100)), (32, 64), 1.0)
    assert grid.starts == (34.0, 18.0)
    assert grid.beyond_mm == 0.0


def test_interpolation_is_linear_and_lows_are_kept_when_it_shrinks():
    assert_allclose(triangle(3, 5, 0.5, 0.0)[:, 1], [0, 0.5, 1, 0.5, 0])
    assert_allclose(triangle(9, 3, 2.0, 2.0)[1], [0, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0])
    assert not triangle(4, 2, 1.0, 10.0).any()
