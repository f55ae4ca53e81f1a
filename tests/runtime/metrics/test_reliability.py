"""Reliability: the table and the error counted one by one, cases that add up, a probability that says the truth."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score

from ctpdeploy.runtime.metrics.reliability import ROWS, Reliability

SHAPE = (3, 40, 50)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def drawn(rng: np.random.Generator, sharpness: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """A probability that saturates as networks' do, and a truth that it tells of, too surely."""
    logit = rng.normal(-2.0, sharpness, SHAPE)
    probability = 1 / (1 + np.exp(-logit))
    return probability.astype(np.float32), rng.random(SHAPE) < 0.8 * probability + 0.02


def test_the_table_is_scikit_learns(rng: np.random.Generator):
    probability, truth = drawn(rng)
    inside = rng.random(SHAPE) < 0.7
    table = Reliability.of(probability, truth, inside).table()
    share, mean = calibration_curve(truth[inside], probability[inside], n_bins=ROWS)
    assert [row.lesion for row in table] == pytest.approx(share.tolist())
    assert [row.probability for row in table] == pytest.approx(mean.tolist(), abs=1e-6)
    assert sum(row.voxels for row in table) == np.count_nonzero(inside)
    assert [(row.above, row.up_to) for row in table] == [(i / 10, (i + 1) / 10) for i in range(10)]


def test_the_error_by_brute_force(rng: np.random.Generator):
    probability, truth = drawn(rng)
    everywhere = np.ones(SHAPE, bool)
    error = 0.0
    for low in np.arange(10) / 10:
        chosen = (probability >= low) & (probability < low + 0.1)
        error += chosen.mean() * abs(probability[chosen].mean(dtype=float) - truth[chosen].mean())
    assert 0.02 < error < 0.5
    got = Reliability.of(probability, truth, everywhere).expected_calibration_error()
    assert got == pytest.approx(error, rel=1e-3)


def test_a_probability_that_says_the_truth_has_no_error(rng: np.random.Generator):
    probability = rng.random((20, 200, 200)).astype(np.float32)
    truth = rng.random(probability.shape) < probability
    everywhere = np.ones(truth.shape, bool)
    assert Reliability.of(probability, truth, everywhere).expected_calibration_error() < 0.003
    assert Reliability.of(truth.astype(np.float32), truth, everywhere).expected_calibration_error() == 0.0
    opposite = Reliability.of((~truth).astype(np.float32), truth, everywhere)
    assert opposite.expected_calibration_error() == 1.0


def test_cases_add_up(rng: np.random.Generator):
    cases = [drawn(rng) for _ in range(3)]
    everywhere = np.ones(SHAPE, bool)
    total = Reliability.nothing()
    for probability, truth in cases:
        total += Reliability.of(probability, truth, everywhere)
    together = Reliability.of(
        *(np.concatenate(parts) for parts in zip(*cases, strict=True)), np.ones((9, 40, 50), bool)
    )
    for one, other in zip(total.table(), together.table(), strict=True):
        assert vars(one) == pytest.approx(vars(other))
    assert total.average_precision() == together.average_precision()


@pytest.mark.parametrize("sharpness", [0.5, 4.0, 20.0])
def test_average_precision_of_counts_is_that_of_all_voxels(rng: np.random.Generator, sharpness: float):
    probability, truth = drawn(rng, sharpness)
    got = Reliability.of(probability, truth, np.ones(SHAPE, bool)).average_precision()
    assert got == pytest.approx(average_precision_score(truth.ravel(), probability.ravel()), abs=1e-3)


def test_edges():
    nothing = Reliability.nothing()
    assert math.isnan(nothing.expected_calibration_error())
    assert math.isnan(nothing.average_precision())
    assert all(row.voxels == 0 and math.isnan(row.lesion) and math.isnan(row.probability) for row in nothing.table())
    ends = Reliability.of(np.array([0.0, 1.0, np.float32(1.0 + 1e-6)]), np.array([False, True, True]), np.ones(3, bool))
    assert [row.voxels for row in ends.table()] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2], "a softmax may round above 1"
    healthy = Reliability.of(np.array([0.2]), np.array([False]), np.ones(1, bool))
    assert math.isnan(healthy.average_precision())
    assert healthy.expected_calibration_error() == pytest.approx(0.2)
