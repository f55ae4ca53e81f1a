"""Letters stand where they are asked to stand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ctpdeploy.runtime.report.text import Letters, draw_letters


def written(*letters: Letters) -> NDArray[np.uint8]:
    page = Image.new("RGB", (200, 80))
    draw_letters(page, letters)
    return np.asarray(page)


def extent(*letters: Letters) -> tuple[int, int, int, int]:
    """First and last row, first and last column with ink."""
    ink = written(*letters).any(axis=2)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize(("anchor", "share"), [("lm", 0.0), ("mm", 0.5), ("rm", 1.0)])
def test_a_text_lies_beside_its_anchor(anchor: str, share: float):
    top, bottom, left, right = extent(Letters(text="HHHH", x=100, y=40, size=10, anchor=anchor))
    assert abs(100 - (left + share * (right - left))) <= 3
    assert abs(40 - (top + bottom) / 2) <= 2
    assert 9 <= bottom - top + 1 <= 12  # capitals of 10 points


def test_letters_of_a_base_line_stand_on_it():
    assert abs(extent(Letters(text="HHH", x=100, y=40, size=10, anchor="ms"))[1] - 39) <= 1


def test_lines_follow_one_another():
    one = extent(Letters(text="HH", x=10, y=20, size=10, anchor="ls"))
    two = extent(Letters(text="HH\nHH", x=10, y=20, size=10, anchor="ls"))
    assert two[0] == one[0]
    assert 18 <= two[1] - one[1] <= 24


def test_a_text_that_runs_upwards_ends_left_of_its_anchor():
    top, bottom, left, right = extent(Letters(text="slice 9", x=60, y=40, size=8, anchor="rm", upwards=True))
    assert bottom - top > 2 * (right - left)
    assert abs((top + bottom) / 2 - 40) <= 2
    assert 57 <= right <= 60
    assert left > 40


def test_colour_and_weight():
    thin = written(Letters(text="HH", x=10, y=40, size=10, colour="#ffd60a"))
    bold = written(Letters(text="HH", x=10, y=40, size=10, colour="#ffd60a", bold=True))
    assert thin.max(axis=(0, 1)).tolist() == [255, 214, 10]
    assert bold.sum() > 1.2 * thin.sum()
