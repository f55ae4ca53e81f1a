"""Average precision: scikit-learn's, ties and edges by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from ctpdeploy.runtime.metrics.average_precision import average_precision, precision_of_counts

SHAPE = (2, 4, 5)
truths = arrays(bool, SHAPE, elements=st.booleans()).filter(np.any)
few_heights = arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))  # with many ties
many_heights = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))


@given(st.one_of(few_heights, many_heights), truths)
def test_it_is_that_of_scikit_learn(probability: np.ndarray, truth: np.ndarray):
    expected = average_precision_score(truth.ravel(), probability.ravel())
    assert average_precision(probability, truth) == pytest.approx(expected)


@given(many_heights, truths, arrays(bool, SHAPE, elements=st.booleans()))
def test_only_what_is_inside_counts(probability: np.ndarray, truth: np.ndarray, inside: np.ndarray):
    got = average_precision(probability, truth, inside)
    if not truth[inside].any():
        assert math.isnan(got)
    else:
        assert got == pytest.approx(average_precision_score(truth[inside], probability[inside]))
        assert got == average_precision(np.where(inside, probability, 1.0), truth & inside, inside)


@given(many_heights, truths)
def test_the_order_alone_counts(probability: np.ndarray, truth: np.ndarray):
    ranks = np.unique(probability, return_inverse=True)[1].reshape(SHAPE)
    assert average_precision(ranks.astype(float), truth) == pytest.approx(average_precision(probability, truth))


def test_edges():
    truth = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.2, 0.8, 0.1]), truth) == 1.0
    assert average_precision(np.full(4, 0.3), truth) == 0.5, "a constant has the share of lesion"
    assert average_precision(np.array([0.0, 1.0, 0.0, 1.0]), truth) == 0.5, "all lesion last, as one tie"
    assert math.isnan(average_precision(np.array([0.9, 0.2, 0.8, 0.1]), np.zeros(4, bool)))
    assert average_precision(np.array([0.9, 0.2]), np.ones(2, bool)) == 1.0
    with pytest.raises(ValueError, match="cannot be compared"):
        average_precision(np.zeros(3), truth)
    with pytest.raises(ValueError, match="cannot be compared"):
        average_precision(np.zeros(4), truth, np.ones(5, bool))


def test_counts_by_hand():
    """Two of lesion among the first three voxels, then one among six: 2/3 of recall at 2/3, 1/3 at 3/9."""
    assert precision_of_counts(np.array([2, 0, 1]), np.array([3, 0, 6])) == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 9)
    assert math.isnan(precision_of_counts(np.array([0, 0]), np.array([3, 6])))
    assert precision_of_counts(np.array([0, 1]), np.array([0, 1])) == 1.0, "a height without a voxel"
