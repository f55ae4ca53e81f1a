"""Lines lie where they are asked to lie, as wide as they are asked to be, whichever way they run."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from PIL import Image

from ctpdeploy.runtime.report.lines import Lines, Strokes, draw_strokes


def lines_of(*lines: list[tuple[float, float]]) -> Lines:
    return Lines(points=np.concatenate(lines), starts=[0, *itertools.accumulate(map(len, lines))])


def ink(lines: Lines, width: float) -> NDArray[np.float64]:
    """How much of each pixel is covered, ``(60, 80)``."""
    page = Image.new("RGB", (80, 60))
    draw_strokes(page, Strokes(lines=lines, colour="white", width=width))
    return np.asarray(page)[..., 0] / 255


@pytest.mark.parametrize("end", [(60.0, 20.0), (20.0, 50.0), (55.0, 45.0), (60.0, 30.0)])
@pytest.mark.parametrize("width", [1.0, 1.4, 3.2])
def test_a_line_covers_its_length_times_its_width(end: tuple[float, float], width: float):
    found = ink(lines_of([(20.0, 20.0), end]), width)
    assert found.sum() == pytest.approx(math.dist((20, 20), end) * width, rel=0.25)  # Pillow draws oblique lines thin
    middles = np.stack(np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5), axis=2)
    centre = (found[..., None] * middles).sum(axis=(0, 1)) / found.sum()
    assert_allclose(centre, [(20 + end[0]) / 2, (20 + end[1]) / 2], atol=0.3)


def test_lines_are_not_joined_to_one_another():
    found = ink(lines_of([(10, 10), (30, 10)], [(50, 40), (70, 40), (70, 50)]), 1.0)
    assert found[8:12, 8:32].sum() + found[38:52, 48:72].sum() == pytest.approx(found.sum())
    assert found.sum() == pytest.approx(50, rel=0.15)


def test_nothing_is_drawn_of_nothing_nor_beyond_the_page():
    assert not ink(Lines(points=np.empty((0, 2)), starts=[0]), 2.0).any()
    assert ink(lines_of([(-30, 30), (200, 30)]), 2.0).sum() == pytest.approx(160, rel=0.1)
