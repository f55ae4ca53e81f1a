"""The curve of the overview: numbers on its axes, and what is drawn of a window."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.curve import draw_curve, ticks
from ctpdeploy.runtime.sheet import Frame
from ctpdeploy.runtime.window import PerfusionWindow

FRAME = Frame(left=100, top=50, width=400, height=150)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-2.2, 46.2, ["0", "10", "20", "30", "40"]),
        (-0.2, 4.4, ["0", "1", "2", "3", "4"]),
        (0.0, 0.013, ["0", "0.005", "0.01"]),
        (-1100, 1100, ["-1000", "-500", "0", "500", "1000"]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[str]):
    assert [text for _, text in ticks(low, high)] == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_there_are_some_ticks_and_they_lie_in_the_range(low: float, length: float):
    found = ticks(low, low + length)
    assert 2 <= len(found) <= 7
    tolerance = 1e-9 * (abs(low) + length)
    assert all(low - tolerance <= value <= low + length + tolerance for value, _ in found)


def test_the_curve_fills_its_frame_and_its_window_is_marked(phantom_case: Case):
    size = phantom_case.series[0].size
    curve = size * np.concatenate([np.zeros(5), np.linspace(0, 8, 8), np.linspace(8, 1, 7)])
    window = PerfusionWindow(start=4, end=18, frames=(4, 7, 10, 12, 15, 18), curve=curve)
    case = replace(phantom_case, times=np.arange(20) * 2.0)
    strokes, letters = draw_curve(FRAME, case, window)
    points = strokes[1].lines.points[:20]
    assert_allclose(points.min(axis=0), [100 + 400 * 0.05 / 1.1, 50 + 150 * 0.05 / 1.1])
    assert_allclose(points.max(axis=0), [100 + 400 * 1.05 / 1.1, 50 + 150 * 1.05 / 1.1])
    assert points[:5, 1].max() == points[:, 1].max()  # down is less
    places = {item.text: item.x for item in letters}
    assert_allclose([places["Tₛ"], places["Tₑ"]], points[[4, 18], 0])
    assert_allclose(places["20"], points[10, 0])
    rings = strokes[2].lines
    centres = [rings.points[a : b - 1].mean(axis=0) for a, b in zip(rings.starts, rings.starts[1:], strict=False)]
    assert_allclose(centres[:6], points[list(window.frames)], atol=1e-6)


def test_a_flat_curve_has_axes_too(phantom_case: Case):
    window = PerfusionWindow(start=0, end=1, frames=(0, 0, 0, 1, 1, 1), curve=np.zeros(2))
    strokes, letters = draw_curve(FRAME, replace(phantom_case, times=np.array([0.0, 1.0])), window)
    assert all(np.isfinite(stroke.lines.points).all() for stroke in strokes)
    assert {"0", "1"} <= {item.text for item in letters}
