"""Rectangles on a page, and what lies over the pictures in them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.report.frame import Frame, Lines


@pytest.mark.parametrize(
    ("shape", "aspect", "expected"),
    [
        ((10, 10), 1.0, Frame(left=30, top=20, width=40, height=40)),
        ((10, 40), 1.0, Frame(left=10, top=30, width=80, height=20)),
        ((10, 40), 2.0, Frame(left=10, top=20, width=80, height=40)),
        ((40, 10), 1.0, Frame(left=45, top=20, width=10, height=40)),
    ],
)
def test_a_picture_keeps_its_shape_in_the_middle_of_the_room(shape: tuple[int, int], aspect: float, expected: Frame):
    assert Frame(left=10, top=20, width=80, height=40).holding(shape, aspect) == expected


def test_the_middle_of_a_pixel_of_a_picture_lies_in_the_middle_of_what_it_fills():
    frame = Frame(left=100, top=50, width=80, height=40)
    lines = frame.over((10, 20), Lines.of([(0, 0), (19, 9)], [(6, 2)]))
    assert_array_equal(lines.points, [(102, 52), (frame.right - 2, frame.bottom - 2), (126, 60)])
    assert list(lines.starts) == [0, 2, 3]


def test_lines_are_joined_into_one_array_with_their_starts():
    lines = Lines.of([(0, 1), (2, 3)], np.array([(4.0, 5.0)]))
    assert_array_equal(lines.points, [(0, 1), (2, 3), (4, 5)])
    assert list(lines.starts) == [0, 2, 3]
