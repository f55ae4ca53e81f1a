"""Pictures composed as pixels, and the outlines on them."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.runtime.report.canvas import Frame, Sheet, outline

GREY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
PICTURE = np.array([[0.0, 5.0, 10.0], [-3.0, 2.5, 99.0]])


def test_a_picture_fills_its_frame_and_nothing_else():
    sheet = Sheet(20, 30)
    frame = Frame(left=4, top=2, width=12, height=8)
    sheet.show(frame, PICTURE, 0.0, 10.0, GREY)
    grey = sheet.pixels[..., 0]
    assert_array_equal(grey[2:10, 4:16], np.kron([[0, 128, 255], [0, 64, 255]], np.ones((4, 4))))
    grey[2:10, 4:16] = 0
    assert not sheet.pixels[..., 0].any()


def test_a_smaller_frame_takes_the_nearest_pixels():
    sheet = Sheet(4, 4)
    sheet.show(Frame(left=0, top=0, width=4, height=4), np.arange(64).reshape(8, 8), 0.0, 256.0, GREY)
    assert_array_equal(sheet.pixels[..., 0], np.arange(64).reshape(8, 8)[1::2, 1::2])


def test_what_is_masked_stays_black():
    sheet = Sheet(2, 3)
    masked = np.ma.masked_less_equal(PICTURE + 4, 4.0)
    sheet.show(Frame(left=0, top=0, width=3, height=2), masked, -100.0, 100.0, GREY)
    assert_array_equal(sheet.pixels.any(axis=2), [[False, True, True], [False, True, True]])


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


def test_an_outline_lies_around_what_it_outlines():
    """Half way between the pixels inside and those outside."""
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:5, 6:9] = True
    lines = Frame(left=100, top=50, width=80, height=40).over(mask.shape, outline(mask))
    assert list(lines.starts) == [0, len(lines.points)]
    assert_allclose(lines.points.min(axis=0), [100 + 4 * 6, 50 + 4 * 2])
    assert_allclose(lines.points.max(axis=0), [100 + 4 * 9, 50 + 4 * 5])


def test_every_piece_has_an_outline_of_its_own():
    mask = np.zeros((10, 20), dtype=bool)
    assert list(outline(mask).starts) == [0]
    mask[2, 3] = mask[7:9, 3] = mask[5, 16] = True
    lines = outline(mask)
    pieces = [lines.points[a:b] for a, b in itertools.pairwise(lines.starts)]
    assert sorted(np.ptp(piece, axis=0).tolist() for piece in pieces) == [[1, 1], [1, 1], [1, 2]]


def test_a_scale_runs_through_all_colours():
    sheet = Sheet(12, 300)
    sheet.show_scale(Frame(left=20, top=3, width=256, height=5), GREY)
    assert_array_equal(sheet.pixels[3:8, 20:276, 1], np.tile(np.arange(256), (5, 1)))
    assert np.flatnonzero(sheet.pixels[8:11].all(axis=(0, 2))).tolist() == [20, 148, 276]
