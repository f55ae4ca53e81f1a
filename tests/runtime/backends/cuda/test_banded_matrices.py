import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.backends.cuda.banded_matrices import Bands
from ctpdeploy.runtime.preprocess.network_grid import triangle


def dense(bands: Bands, size_in: int) -> np.ndarray:
    matrix = np.zeros((len(bands.first), size_in), dtype=np.float32)
    for row, first, weights in zip(matrix, bands.first, bands.weights, strict=True):
        assert first >= 0
        assert first + len(weights) <= size_in
        row[first : first + len(weights)] = weights
    return matrix


@pytest.mark.parametrize("size_in", [1, 2, 7, 64])
@pytest.mark.parametrize("size_out", [1, 5, 64, 100])
@pytest.mark.parametrize("step", [0.21, 0.5, 1.0, 1.7, 4.0, 300.0])
@pytest.mark.parametrize("start", [0.0, -3.5, 2.0])
def test_bands_hold_the_whole_matrix(size_in: int, size_out: int, step: float, start: float):
    matrix = triangle(size_in, size_out, step, start)
    bands = Bands.of(matrix)
    assert_array_equal(dense(bands, size_in), matrix)
    assert bands.identity == (matrix.shape == (size_in, size_in) and np.array_equal(matrix, np.eye(size_in)))


def test_bands_are_narrow():
    assert Bands.of(triangle(256, 256, 1.0, 0.0)).weights.shape == (256, 1)
    assert Bands.of(triangle(512, 256, 2.0, 0.5)).weights.shape[1] <= 4
