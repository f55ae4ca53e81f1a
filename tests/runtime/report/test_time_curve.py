"""The curve of the overview: within its frame, with the window where it lies, and axes with round numbers."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.report.canvas import Canvas
from ctpdeploy.runtime.report.frame import Frame
from ctpdeploy.runtime.report.time_curve import _Axis, _number, draw_curve

BLUE, YELLOW = (10, 132, 255), (255, 214, 10)
FRAME = Frame(left=20, top=30, width=600, height=215)


def drawn(case: Case, curve: NDArray[np.float64], start: int, end: int) -> NDArray[np.uint8]:
    """The frame, around which nothing is drawn."""
    frames = tuple(np.linspace(start, end, 6).round().astype(int).tolist())
    window = PerfusionWindow(
        start=start, end=end, spans=tuple((t, t + 1) for t in frames), curve=curve * case.series[0].size
    )
    canvas = Canvas(275, 640)
    draw_curve(canvas, FRAME, replace(case, times=np.arange(len(curve)) * 2.0), window)
    page = np.array(canvas.image)
    picture = page[FRAME.top : FRAME.bottom, FRAME.left : FRAME.right].copy()
    page[FRAME.top : FRAME.bottom, FRAME.left : FRAME.right] = 0
    assert not page.any()
    return picture


@pytest.mark.parametrize(("start", "end"), [(0, 19), (10, 19)])
def test_the_frames_taken_lie_in_the_window(phantom_case: Case, start: int, end: int):
    curve = np.concatenate([np.zeros(5), np.linspace(0, 8, 8), np.linspace(8, 1, 7)])
    picture = drawn(phantom_case, curve, start, end)
    for colour in (BLUE, YELLOW):
        columns = np.flatnonzero((picture == colour).all(axis=2)[20:160].any(axis=0))  # above the legend
        share = (columns - 60) / 535
        assert share.min() == pytest.approx(0.05 / 1.1 + start / 19 / 1.1, abs=0.01)
        assert share.max() == pytest.approx(0.05 / 1.1 + end / 19 / 1.1, abs=0.01)


@pytest.mark.parametrize("curve", [np.zeros(2), np.array([0.0, 1e-9]), np.linspace(0, -1e4, 90)])
def test_flat_tiny_and_falling_curves_stay_in_their_frame(phantom_case: Case, curve: NDArray[np.float64]):
    assert drawn(phantom_case, curve, 0, len(curve) - 1).max() == 255


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 45.0, ["0", "10", "20", "30", "40"]),
        (-0.037, 0.0, ["−0.03", "−0.02", "−0.01", "0"]),
        (0.0, 3.7, ["0", "1", "2", "3"]),
        (-3000.0, 1000.0, ["−3000", "−2000", "−1000", "0", "1000"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[str]):
    axis = _Axis.of(np.array([low, high]), 100, 225, 25)
    assert [_number(value) for value in axis.ticks()] == ticks


@pytest.mark.parametrize("high", [*10.0 ** np.arange(-12, 12), *(3.0 ** np.arange(-20, 20)), 5.0 * 22 / 20])
def test_ticks_are_never_too_close_nor_too_few(high: float):
    axis = _Axis.of(np.array([0.0, high]), 300, 100, 20)
    places = axis.place(axis.ticks())
    assert 3 <= len(places) <= 11
    assert np.abs(np.diff(places)).min() >= 20 * (1 - 1e-9)
    assert_allclose(axis.place(np.array([axis.low, axis.high])), [300, 100])
