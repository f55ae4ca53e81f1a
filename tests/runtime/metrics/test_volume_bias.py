"""Bias and limits of agreement: the statistics module, a sign, and too few patients."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctpdeploy.runtime.metrics.volume_bias import volume_bias


@given(st.lists(st.floats(-200, 200), min_size=2, max_size=30), st.floats(-50, 50))
def test_it_is_mean_and_sample_deviation(differences: list[float], shift: float):
    got = volume_bias(differences)
    assert got.n == len(differences)
    assert got.bias_ml == pytest.approx(statistics.fmean(differences), abs=1e-9)
    assert got.upper_ml - got.lower_ml == pytest.approx(2 * 1.96 * statistics.stdev(differences), abs=1e-9)
    moved = volume_bias([value + shift for value in differences])
    assert moved.bias_ml == pytest.approx(got.bias_ml + shift, abs=1e-9)
    assert moved.upper_ml == pytest.approx(got.upper_ml + shift, abs=1e-6)


def test_nineteen_of_twenty_lie_between_the_limits():
    differences = np.random.default_rng(0).normal(5.0, 20.0, 20_000)
    got = volume_bias(differences.tolist())
    assert np.mean((differences > got.lower_ml) & (differences < got.upper_ml)) == pytest.approx(0.95, abs=0.005)
    assert got.bias_ml == pytest.approx(5.0, abs=0.5), "positive where too much is drawn"


def test_few_patients():
    assert math.isnan(volume_bias([]).bias_ml)
    one = volume_bias([3.0])
    assert (one.bias_ml, one.n) == (3.0, 1)
    assert math.isnan(one.lower_ml)
    assert math.isnan(one.upper_ml)
