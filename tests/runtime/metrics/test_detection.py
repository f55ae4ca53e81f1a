"""Detection piece by piece: a twin that floods, sizes with their limits, and what nothing is."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctpdeploy.runtime.metrics.detection import SIZES, Pieces, detection, find_pieces

masks = arrays(bool, (2, 5, 6), elements=st.sampled_from([False, False, True]))


def flooded(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Connected pieces by their voxels, neighbour after neighbour."""
    left, pieces = {tuple(int(i) for i in voxel) for voxel in np.argwhere(mask)}, []
    while left:
        piece, front = set(), [left.pop()]
        while front:
            voxel = front.pop()
            piece.add(voxel)
            near = {tuple(a + b for a, b in zip(voxel, step, strict=True)) for step in product((-1, 0, 1), repeat=3)}
            front += near & left
            left -= near
        pieces.append(piece)
    return pieces


@given(masks, masks)
def test_pieces_by_flooding(mask: np.ndarray, truth: np.ndarray):
    got = find_pieces(mask, truth, 0.5)
    for found, hits, one, other in (
        (got.true_ml, got.found, truth, mask),
        (got.drawn_ml, [not false for false in got.false], mask, truth),
    ):
        expected = sorted((0.5 * len(piece), any(other[voxel] for voxel in piece)) for piece in flooded(one))
        assert sorted(zip(found, hits, strict=True)) == expected


def test_detection_by_hand():
    one = Pieces(true_ml=(0.5, 12.0), found=(False, True), drawn_ml=(0.2, 3.0, 14.0), false=(True, True, False))
    other = Pieces(true_ml=(5.0, 60.0), found=(True, True), drawn_ml=(70.0,), false=(False,))
    found = detection([one, other])
    sizes = found.pop("sizes")
    assert found == {
        "lesions": 4,
        "found": 3,
        "sensitivity": 0.75,
        "drawn": 4,
        "precision": 0.5,
        "false_per_case": 1.0,
    }
    assert tuple(sizes) == SIZES
    assert sizes["under 1 ml"] == {
        "lesions": 1,
        "found": 0,
        "sensitivity": 0.0,
        "drawn": 1,
        "precision": 0.0,
        "false_per_case": 0.5,
    }
    assert sizes["1 to 5 ml"]["sensitivity"] is None
    assert sizes["1 to 5 ml"]["false_per_case"] == 0.5
    assert [of["lesions"] for of in sizes.values()] == [1, 0, 1, 1, 1]
    assert [of["drawn"] for of in sizes.values()] == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("volume", "size"),
    [(0.999, 0), (1.0, 1), (1.0 - 1e-12, 1), (4.99, 1), (5.0, 2), (10.0, 3), (49.9, 3), (50.0, 4), (500.0, 4)],
)
def test_a_limit_belongs_to_the_larger(volume: float, size: int):
    found = detection([Pieces(true_ml=(volume,), found=(True,))])
    assert [of["lesions"] for of in found["sizes"].values()] == [int(i == size) for i in range(5)]


def test_nothing_drawn_and_nothing_there():
    nothing, blob = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    blob[0, 1, 1] = True
    assert find_pieces(nothing, nothing, 1.0) == Pieces()
    missed, invented = find_pieces(nothing, blob, 1.0), find_pieces(blob, nothing, 1.0)
    assert missed == Pieces(true_ml=(1.0,), found=(False,))
    assert invented == Pieces(drawn_ml=(1.0,), false=(True,))
    assert detection([missed])["sensitivity"] == 0.0
    assert detection([missed])["precision"] is None
    assert detection([invented])["sensitivity"] is None
    assert detection([invented])["precision"] == 0.0
    assert detection([])["false_per_case"] is None
    with pytest.raises(ValueError, match="cannot be compared"):
        find_pieces(nothing, blob[:1], 1.0)
