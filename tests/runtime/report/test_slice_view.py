"""The borders of a mask."""

import itertools

import numpy as np
from numpy.testing import assert_allclose

from ctpdeploy.runtime.report.frame import Frame
from ctpdeploy.runtime.report.slice_view import outline


def test_an_outline_lies_around_what_it_outlines():
    """Half way between the pixels inside and those outside."""
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:5, 6:9] = True
    lines = Frame(left=100, top=50, width=80, height=40).over(mask.shape, outline(mask))
    assert list(lines.starts) == [0, len(lines.points)]
    assert_allclose(lines.points.min(axis=0), [100 + 4 * 6, 50 + 4 * 2])
    assert_allclose(lines.points.max(axis=0), [100 + 4 * 9, 50 + 4 * 5])


def test_every_point_of_an_outline_lies_between_a_pixel_inside_and_one_outside():
    mask = np.random.default_rng(3).random((30, 40)) > 0.6
    points = outline(mask).points
    assert len(points) > 100
    for column, row in points:
        beside = mask[[int(np.floor(row)), int(np.ceil(row))], [int(np.floor(column)), int(np.ceil(column))]]
        assert sorted(beside.tolist()) == [False, True]
        assert {column % 1, row % 1} == {0.0, 0.5}


def test_every_piece_has_an_outline_of_its_own():
    mask = np.zeros((10, 20), dtype=bool)
    assert list(outline(mask).starts) == [0]
    mask[2, 3] = mask[7:9, 3] = mask[5, 16] = True
    lines = outline(mask)
    pieces = [lines.points[a:b] for a, b in itertools.pairwise(lines.starts)]
    assert sorted(np.ptp(piece, axis=0).tolist() for piece in pieces) == [[1, 1], [1, 1], [1, 2]]
