"""Figure 3: the curve, where it begins and ends, and the frames taken."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess
from ctpdeploy.train.reproduction.figures.curves import draw_curves
from ctpdeploy.train.reproduction.figures.drawing import HEADINGS

CONFIG = PreprocessConfig(slice_shape=(32, 32), run_length=3)


def curve_and_frames(axes: Axes) -> list[np.ndarray]:
    return [line.get_xydata() for line in axes.lines if line.get_label().startswith(("$q", "6"))]


def test_the_curve_its_ends_and_the_frames_are_those_of_the_networks(case: Case):
    series = case.series.copy()
    series[16:] = series[16]  # a flat tail is no longer the perfusion stage
    case = replace(case, series=series)
    window = preprocess(case, CONFIG)[1]
    assert 0 < window.start < window.end < len(case.times) - 1
    figure = draw_curves([case, replace(case, identifier="case_7")], CONFIG, heading="Figure 3")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["case_1", "case_7"]
    axes = figure.axes[0]
    curve, frames = curve_and_frames(axes)
    assert_array_equal(curve[:, 0], case.times)
    assert_allclose(curve[:, 1], case.series.mean(axis=(1, 2, 3)) - case.series[0].mean(), atol=1e-4)
    assert_array_equal(frames[:, 0], case.times[list(window.frames)])
    assert_allclose(frames[:, 1], curve[list(window.frames), 1])
    ends = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert ends == [case.times[window.start], case.times[window.end]]
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [
        ("$T_s$", ends[0]),
        ("$T_e$", ends[1]),
    ]
    assert "HU" in axes.get_ylabel()
    assert "[s]" in axes.get_xlabel()


def test_a_rule_that_found_nothing_is_said(case: Case):
    flat = replace(case, series=np.zeros_like(case.series))
    texts = " ".join(text.get_text() for text in draw_curves([flat], CONFIG, heading="Figure 3").texts)
    assert "case_1: No 3 rising steps" in texts


@pytest.mark.parametrize(("run_length", "found"), [(3, "first 3 rising"), (5, "first 5 rising")])
def test_the_note_names_k(case: Case, run_length: int, found: str):
    figure = draw_curves([case], replace(CONFIG, run_length=run_length), heading="Figure 3")
    assert found in " ".join(text.get_text() for text in figure.texts)


def test_the_heading_leaves_room_for_the_legend(case: Case, heading_fits: Callable[[Figure], bool]):
    assert heading_fits(draw_curves([case], CONFIG, heading=f"Figure 3: {HEADINGS[3]}"))
