import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctpdeploy.benchmark.quantiles import Quantiles

seconds = st.floats(min_value=1e-6, max_value=1e3)


@pytest.mark.parametrize(
    ("count", "p95", "p99"),
    [(1, False, False), (19, False, False), (20, True, False), (99, True, False), (100, True, True)],
)
def test_a_percentile_is_stated_when_a_value_can_lie_beyond_it(count: int, p95: bool, p99: bool):
    found = Quantiles.of(list(range(1, count + 1)))
    assert (found.p95 is not None, found.p99 is not None) == (p95, p99)
    assert found.count == count


@given(st.lists(seconds, min_size=100, max_size=120))
def test_quantiles_are_ordered_and_those_of_numpy(values: list[float]):
    found = Quantiles.of(values)
    assert found.least == min(values)
    assert found.greatest == max(values)
    assert found.least <= found.p50 <= found.p95 <= found.p99 <= found.greatest
    assert found.p50 == np.percentile(values, 50)
    assert found.p95 == np.percentile(values, 95)
    assert found.p99 == np.percentile(values, 99)


@given(st.lists(seconds, min_size=1, max_size=9), st.floats(min_value=0.1, max_value=10))
def test_a_ratio_is_taken_within_rounds(values: list[float], factor: float):
    found = Quantiles.of_ratio([factor * value for value in values], values)
    assert (found.least, found.p50, found.greatest) == pytest.approx((factor, factor, factor))


def test_one_slow_round_does_not_move_a_ratio():
    assert Quantiles.of_ratio([2.0, 200.0, 2.0], [1.0, 100.0, 1.0]).p50 == 2.0
    assert Quantiles.of_ratio([2.0, 2.0, 2.0], [1.0, 100.0, 1.0]).p50 == 2.0
    found = Quantiles.of_ratio([4.0, 10.0, 30.0], [1.0, 20.0, 10.0])
    assert (found.least, found.p50, found.greatest) == (0.5, 3.0, 4.0)  # the ratio of the medians is 1


def test_rounds_that_do_not_belong_together_are_not_compared():
    with pytest.raises(ValueError, match="3 rounds"):
        Quantiles.of_ratio([1.0, 2.0, 3.0], [1.0])
