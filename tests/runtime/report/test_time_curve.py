"""The curve of the overview: a picture of its size, with the window where it lies."""

from dataclasses import replace

import numpy as np
import pytest

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.report.time_curve import draw_curve

BLUE = (10, 132, 255)


def drawn(case: Case, curve: np.ndarray, start: int, end: int) -> np.ndarray:
    frames = tuple(np.linspace(start, end, 6).round().astype(int).tolist())
    window = PerfusionWindow(start=start, end=end, frames=frames, curve=curve * case.series[0].size)
    return draw_curve(replace(case, times=np.arange(len(curve)) * 2.0), window, 600, 215)


@pytest.mark.parametrize(("start", "end"), [(0, 19), (10, 19)])
def test_the_frames_taken_lie_in_the_window(phantom_case: Case, start: int, end: int):
    curve = np.concatenate([np.zeros(5), np.linspace(0, 8, 8), np.linspace(8, 1, 7)])
    picture = drawn(phantom_case, curve, start, end)
    assert (picture.shape, picture.dtype) == ((215, 600, 3), np.uint8)
    columns = np.flatnonzero((picture == BLUE).all(axis=2)[55:].any(axis=0))  # below the legend
    share = (columns - 60) / 535
    assert share.min() == pytest.approx(0.05 + 0.9 * start / 19, abs=0.04)
    assert share.max() == pytest.approx(0.05 + 0.9 * end / 19, abs=0.04)


def test_a_flat_curve_is_drawn_too(phantom_case: Case):
    assert drawn(phantom_case, np.zeros(2), 0, 1).max() == 255
