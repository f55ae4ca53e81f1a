import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.preprocess.perfusion_window import accumulated_intensity, perfusion_window

K, FRAMES = 5, 6


def by_equations(q: np.ndarray, k: int) -> tuple[int | None, int | None]:
    """Equations 2 and 3 word for word, with H(0) neither 0 nor 1."""
    t_max = len(q)
    start = [t for t in range(t_max - k) if all(q[t + i + 1] - q[t + i] > 0 for i in range(k))]
    end = [t for t in range(k, t_max) if all(q[t - i] - q[t - i - 1] < 0 for i in range(k))]
    return (min(start) if start else None), (max(end) if end else None)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=40))
def test_start_and_end_are_those_of_the_equations(steps: list[int]):
    q = np.cumsum(steps).astype(float)
    window = perfusion_window(q, run_length=3, frames=4)
    start, end = by_equations(q, 3)
    expected_start = start or 0
    expected_end = end if end is not None and end > expected_start else len(q) - 1
    if expected_end - expected_start + 1 < 4:
        expected_start, expected_end = 0, len(q) - 1
    assert (window.start, window.end) == (expected_start, expected_end)
    assert len(window.frames) == 4
    assert list(window.frames) == sorted(window.frames)
    assert window.frames[0] == window.start
    assert window.frames[-1] == window.end


def bolus(plateau: int = 0) -> np.ndarray:
    rise, fall = np.arange(0, 10.0), np.arange(9, 0, -1.0)
    return np.concatenate([np.zeros(4), rise, fall, np.zeros(plateau)])


def test_a_bolus_is_cut_out():
    window = perfusion_window(bolus(plateau=6), run_length=K, frames=FRAMES)
    assert (window.start, window.end) == (4, 23)  # the last falling step is 1 -> 0, into the plateau
    assert window.frames == (4, 8, 12, 15, 19, 23)
    assert window.findings == ()


def test_a_flat_tail_is_not_perfusion():
    """With H(0) = 0 equation 3 would accept the plateau and return the last frame."""
    assert perfusion_window(bolus(plateau=20), run_length=K, frames=FRAMES).end == 23


def test_a_tail_that_never_falls_ends_at_the_last_frame():
    window = perfusion_window(np.arange(30.0), run_length=K, frames=FRAMES)
    assert (window.start, window.end) == (0, 29)
    assert "window-end" in {found.code for found in window.findings}


def test_a_flat_curve_takes_everything_and_says_so():
    window = perfusion_window(np.zeros(12), run_length=K, frames=FRAMES)
    assert (window.start, window.end) == (0, 11)
    assert [found.code for found in window.findings] == ["window-start", "window-end"]


def test_a_fall_before_the_rise_does_not_end_the_window():
    q = np.concatenate([np.arange(10, 0, -1.0), np.arange(0, 20.0)])
    assert perfusion_window(q, run_length=K, frames=FRAMES).end == len(q) - 1


@pytest.mark.parametrize("length", [2, 3, 5])
def test_short_series_repeat_frames(length: int):
    window = perfusion_window(np.arange(float(length)), run_length=K, frames=FRAMES)
    assert set(window.frames) == set(range(length))
    assert "frames-repeated" in {found.code for found in window.findings}


def test_half_way_frames_round_up():
    """linspace(0, 25, 6) is exact; linspace(0, 5, 11) has halves, which numpy's round would send to the even side."""
    assert perfusion_window(np.arange(6.0), run_length=1, frames=11).frames == (0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5)


def test_accumulated_intensity_sums_in_float64():
    series = np.full((2, 2, 64, 64), 16777217.0 / 4096, dtype=np.float32)
    series[1] += 0.5
    expected = series.astype(np.float64).sum(axis=(1, 2, 3))
    assert_array_equal(accumulated_intensity(series), expected)
    assert accumulated_intensity(np.full((2, 1, 300, 300), 3000, dtype=np.int16))[0] == 3000 * 300 * 300


@pytest.mark.parametrize("length", [2, 5, 6, 7, 11, 40])
@pytest.mark.parametrize("count", [1, 6, 9])
def test_means_take_every_frame_of_the_window_once(length: int, count: int):
    window = perfusion_window(np.arange(float(length)), run_length=1, frames=count, means=True)
    assert len(window.spans) == count
    assert all(window.start <= first < end <= window.end + 1 for first, end in window.spans)
    taken = [t for first, end in window.spans for t in range(first, end)]
    assert set(taken) == set(range(window.start, window.end + 1))
    sizes = [end - first for first, end in window.spans]
    assert max(sizes) - min(sizes) <= 1
    if length >= count:
        assert len(taken) == len(set(taken))
    assert window.frames == tuple((first + end - 1) // 2 for first, end in window.spans)
