"""Pictures, lines, dots and text lie where they are asked to lie, and are as large."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from ctpdeploy.runtime.report.canvas import Canvas
from ctpdeploy.runtime.report.colours import colour_table
from ctpdeploy.runtime.report.frame import Frame, Lines

GREY = colour_table("gray")
PICTURE = np.array([[0.0, 5.0, 10.0], [-3.0, 2.5, 99.0]])


def pixels(canvas: Canvas) -> NDArray[np.uint8]:
    return np.asarray(canvas.image)


def test_a_picture_fills_its_frame_and_nothing_else():
    canvas = Canvas(20, 30)
    canvas.show(Frame(left=4, top=2, width=12, height=8), PICTURE, 0.0, 10.0, GREY)
    expected = np.zeros((20, 30))
    expected[2:10, 4:16] = np.kron([[0, 128, 255], [0, 64, 255]], np.ones((4, 4)))
    assert_array_equal(pixels(canvas)[..., 0], expected)


def test_a_smaller_frame_takes_the_nearest_pixels():
    canvas = Canvas(4, 4)
    canvas.show(Frame(left=0, top=0, width=4, height=4), np.arange(64).reshape(8, 8), 0.0, 256.0, GREY)
    assert_array_equal(pixels(canvas)[..., 0], np.arange(64).reshape(8, 8)[1::2, 1::2])


def test_what_is_masked_stays_black():
    canvas = Canvas(2, 3)
    masked = np.ma.masked_less_equal(PICTURE + 4, 4.0)
    canvas.show(Frame(left=0, top=0, width=3, height=2), masked, -100.0, 100.0, GREY)
    assert_array_equal(pixels(canvas).any(axis=2), [[False, True, True], [False, True, True]])


def ink(lines: Lines, width: float) -> NDArray[np.float64]:
    """How much of each pixel is covered, ``(60, 80)``."""
    canvas = Canvas(60, 80)
    canvas.stroke(lines, "white", width)
    return pixels(canvas)[..., 0] / 255


def centre(cover: NDArray[np.float64]) -> NDArray[np.float64]:
    """Column and row of the middle of what is covered."""
    height, width = cover.shape
    middles = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=2)
    return (cover[..., None] * middles).sum(axis=(0, 1)) / cover.sum()


@pytest.mark.parametrize("end", [(60.0, 20.0), (20.0, 50.0), (55.0, 45.0), (60.0, 30.0)])
@pytest.mark.parametrize("width", [1.0, 1.4, 3.2])
def test_a_line_covers_its_length_times_its_width(end: tuple[float, float], width: float):
    found = ink(Lines.of([(20.0, 20.0), end]), width)
    assert found.sum() == pytest.approx(math.dist((20, 20), end) * width, rel=0.25)  # Pillow draws oblique lines thin
    assert_allclose(centre(found), [(20 + end[0]) / 2, (20 + end[1]) / 2], atol=0.3)


def test_lines_are_not_joined_to_one_another():
    found = ink(Lines.of([(10, 10), (30, 10)], [(50, 40), (70, 40), (70, 50)]), 1.0)
    assert found[8:12, 8:32].sum() + found[38:52, 48:72].sum() == pytest.approx(found.sum())
    assert found.sum() == pytest.approx(50, rel=0.15)


def test_nothing_is_drawn_of_nothing_nor_beyond_the_page():
    assert not ink(Lines(points=np.empty((0, 2)), starts=[0]), 2.0).any()
    assert ink(Lines.of([(-30, 30), (200, 30)]), 2.0).sum() == pytest.approx(160, rel=0.1)


def test_a_dot_is_a_disc_around_its_point():
    canvas = Canvas(60, 80)
    canvas.dots(np.array([(30.25, 20.5)]), "white", 9.0)
    found = pixels(canvas)[..., 0] / 255
    assert found.sum() == pytest.approx(math.pi * 4.5**2, rel=0.06)
    assert_allclose(
        centre(found), [30.25, 20.5], atol=0.15
    )  # an eighth: Pillow's discs lie on whole pixels of the larger sheet


def extent(text: str, x: float, **style: Any) -> tuple[int, int, int, int]:
    """First and last row, first and last column with ink of a text in row 40."""
    canvas = Canvas(80, 200)
    canvas.write(text, x, 40, **style)
    drawn = pixels(canvas).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize(("anchor", "share"), [("lm", 0.0), ("rm", 1.0)])
def test_a_text_lies_beside_its_anchor(anchor: str, share: float):
    top, bottom, left, right = extent("HHHH", 100, size=10, anchor=anchor)
    assert abs(100 - (left + share * (right - left))) <= 3
    assert abs(40 - (top + bottom) / 2) <= 2
    assert 9 <= bottom - top + 1 <= 12  # capitals of 10 points


@pytest.mark.parametrize(("anchor", "share"), [("ls", 0.0), ("ms", 0.5), ("rs", 1.0)])
def test_letters_of_a_base_line_stand_on_it(anchor: str, share: float):
    _, bottom, left, right = extent("HHH", 100, size=10, anchor=anchor)
    assert abs(bottom - 39) <= 1
    assert abs(100 - (left + share * (right - left))) <= 3


def test_a_text_that_runs_upwards_ends_left_of_its_anchor():
    top, bottom, left, right = extent("slice 9", 60, size=8, anchor="rm", upwards=True)
    assert bottom - top > 2 * (right - left)
    assert abs((top + bottom) / 2 - 40) <= 2
    assert 57 <= right <= 60
    assert left > 40


def test_colour_and_weight():
    thin, bold = Canvas(80, 200), Canvas(80, 200)
    thin.write("HH", 10, 40, size=10, colour="#ffd60a")
    bold.write("HH", 10, 40, size=10, colour="#ffd60a", bold=True)
    assert pixels(thin).max(axis=(0, 1)).tolist() == [255, 214, 10]
    assert pixels(bold).sum() > 1.2 * pixels(thin).sum()


@pytest.mark.parametrize("room", [5.0, 40.0, 119.0])
@pytest.mark.parametrize("text", ["a name that is far too long for its box", "W" * 255, "µ²≤ü" * 60])
def test_a_long_text_stays_in_its_room(text: str, room: float):
    _, _, left, right = extent(text, 10, size=10, room=room)
    assert left >= 9
    assert right < 10 + max(room, 14.0)  # … alone is as wide


def test_a_text_that_fits_is_not_shortened():
    assert extent("HHH", 10, size=10, room=60.0) == extent("HHH", 10, size=10)


def test_a_shortened_text_ends_in_three_dots_and_is_as_long_as_may_be():
    full = extent("HHHHHHHHHH", 10, size=10)
    shortened = extent("H" * 99, 10, size=10, room=full[3] - 10)
    assert full[3] - 20 < shortened[3] <= full[3]
    assert extent("H" * 99, 10, size=10, room=60.0)[:2] == extent("H…", 10, size=10)[:2]


@pytest.mark.parametrize("character", ["\n", "\x00", "\x1b", "\u202e", "\udc80"])
def test_a_control_character_is_replaced(character: str):
    """A line break, the end of a text in C, a terminal's escape, writing turned round, half of a character."""
    assert extent(f"a{character}b", 10, size=10) == extent("a\ufffdb", 10, size=10)


def test_accents_are_joined_to_their_letters():
    """As file systems that store both apart give them back."""
    assert extent("e\u0301u\u0308", 10, size=10) == extent("éü", 10, size=10)
