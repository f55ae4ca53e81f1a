from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.backends.cuda import Workspace
from ctpdeploy.runtime.backends.cuda.order_statistics import RANKS, Percentile, select, values_of
from ctpdeploy.runtime.backends.cuda.series_upload import padded

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**60), max_value=2.0**60)


def selected(workspace: Workspace, volumes: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Order statistics of ``(V, n)`` values, each row of which lies before numbers that do not count."""
    rows, count = volumes.shape
    staged = np.full((rows, padded(count) + 64), -1e30, dtype=np.float32)
    staged[:, :count] = volumes
    keys = select(workspace, workspace.sent("volumes", staged), count, ranks.tolist())
    workspace.finish()
    return values_of(keys)


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 40_000])
@pytest.mark.parametrize("backwards", [False, True])
def test_order_statistics_are_those_of_a_sort(make_workspace: Callable[..., Workspace], count: int, backwards: bool):
    rng = np.random.default_rng(count)
    normal = rng.normal(0, 1e3, count)
    volumes = np.stack([normal, np.rint(normal / 300), np.where(normal > 0, normal, 0)]).astype(np.float32)
    ranks = rng.integers(0, count, (3, RANKS))
    found = selected(make_workspace(backwards=backwards), volumes, ranks)
    assert_array_equal(found, np.take_along_axis(np.sort(volumes, axis=1), ranks, axis=1))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=arrays(np.float32, st.integers(1, 70), elements=NUMBERS), percentile=st.floats(0, 100))
def test_percentiles_are_numpys(workspace: Workspace, values: np.ndarray, percentile: float):
    """Ties, signed zeros, subnormal numbers and every fraction between two neighbours."""
    places = Percentile.of(len(values), percentile)
    below, above, last = selected(
        workspace, values[None], np.array([[places.below, places.above, len(values) - 1]])
    ).ravel()
    assert places.between(below, above) == np.percentile(values, percentile)
    assert last == values.max()


def test_the_extreme_percentiles_are_the_extremes():
    assert Percentile.of(5, 0.0) == Percentile(below=0, above=1, fraction=0.0)
    assert Percentile.of(5, 100.0) == Percentile(below=4, above=4, fraction=0.0)
    assert Percentile.of(1, 99.0) == Percentile(below=0, above=0, fraction=0.0)
