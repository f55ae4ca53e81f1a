"""The hemisphere with less delay, by shares and not by sizes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax


def of_halves(left: list[float], right: list[float]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Tmax of one row a side, as many voxels as there are numbers, and the mask of these."""
    width = max(len(left), len(right))
    row = [np.nan] * (width - len(left)) + left + right + [np.nan] * (width - len(right))
    tmax = np.array(row, dtype=np.float32)[None, None]
    brain = np.isfinite(tmax)
    return np.where(brain, tmax, 0.0), brain


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([3.0] * 8, [9.0] * 8, 3.0),
        ([3.0] * 6 + [9.0] * 2, [3.5] * 3 + [9.0] * 2, 3.0),  # 2 of 8 late beside 2 of 5: as many, a smaller share
        ([3.0] * 7 + [9.0] * 3, [9.0] * 2, 3.0),  # more late voxels, and yet the healthier
        ([8.0] * 5, [12.0] * 5, 8.0),  # both wholly late
        ([3.4] * 5, [3.0] * 5, 3.0),  # neither
        ([2.0] * 3 + [7.0] * 2, [9.0] * 5, 2.0),
        ([9.0] * 30, [3.0] * 2, 9.0),  # a sliver beyond the midline is no hemisphere
        ([4.0] * 5, [], 4.0),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_healthier_hemisphere(one: list[float], other: list[float], expected: float, mirrored: bool):
    tmax, brain = of_halves(other, one) if mirrored else of_halves(one, other)
    assert healthy_tmax(tmax, brain) == pytest.approx(expected)


def test_without_a_brain_there_is_none():
    assert healthy_tmax(np.zeros((1, 2, 4)), np.zeros((1, 2, 4), dtype=bool)) is None
