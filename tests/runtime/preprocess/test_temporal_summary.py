"""q(t) and the maximum over time against sums that are exact, whatever the order of the voxels in memory."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ctpdeploy.runtime.preprocess.temporal_summary import BLOCK, summarise

ORDERS = list(itertools.permutations(range(4)))


def laid_out(series: np.ndarray, order: tuple[int, ...], backwards: tuple[bool, ...], step: int) -> np.ndarray:
    """The same numbers with axes of memory in another order, some backwards, with gaps between the last."""
    flips = tuple(slice(None, None, -1 if back else 1) for back in backwards)
    memory = np.repeat(np.ascontiguousarray(series[flips].transpose(order)), step, axis=3)[..., ::step]
    return memory.transpose(np.argsort(order))[flips]


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), *[st.integers(1, 9)] * 3),
    order=st.sampled_from(ORDERS),
    backwards=st.tuples(*[st.booleans()] * 4),
    step=st.integers(1, 2),
    dtype=st.sampled_from([np.int16, np.float32]),
    seed=st.integers(0, 99),
)
def test_any_strides(shape, order, backwards, step, dtype, seed):  # noqa: ANN001
    wild = np.random.default_rng(seed).normal(0, 4000, shape).astype(dtype)
    series = laid_out(wild, order, backwards, step)
    assert_array_equal(series, wild)
    summary = summarise(series)
    assert summary.curve.dtype == np.float64
    assert summary.maximum.dtype == dtype
    assert_array_equal(summary.maximum, wild.max(axis=0))
    for total, frame in zip(summary.curve, wild.astype(np.float64), strict=True):
        assert abs(total - math.fsum(frame.ravel())) <= 1e-13 * np.abs(frame).sum()


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("side", [100, 256, 257])  # six slices a block, one, one that is larger
def test_frames_of_several_blocks_are_summed_exactly(dtype: type, flip: int, side: int):
    """float32 would round every one of these sums, int16 hold none."""
    assert BLOCK == 256 * 256
    series = np.random.default_rng(0).integers(2**14, 2**15, (3, 20, side, side)).astype(dtype)[..., ::flip]
    summary = summarise(series)
    assert_array_equal(summary.curve, series.astype(np.int64).sum(axis=(1, 2, 3)))
    assert_array_equal(summary.maximum, series.max(axis=0))


@pytest.mark.parametrize("extreme", [-32768, 32767])
@pytest.mark.parametrize("side", [64, 256, 300])
def test_the_largest_sums_of_int16_are_exact(extreme: int, side: int):
    series = np.full((2, 17, side, side), extreme, dtype=np.int16)
    assert_array_equal(summarise(series).curve, [17.0 * side * side * extreme] * 2)


def test_equal_frames_have_equal_sums():
    """A flat tail must stay flat: a difference of rounding would be a rising step."""
    frame = np.random.default_rng(0).normal(0, 1000, (5, 400, 300)).astype(np.float32)
    assert len(set(summarise(np.stack([frame] * 6)).curve.tolist())) == 1


def test_the_series_is_left_as_it_was():
    series = np.random.default_rng(0).normal(size=(4, 2, 3, 5)).astype(np.float32)
    before = series.copy()
    maximum = summarise(series).maximum
    maximum[:] = 0
    assert_array_equal(series, before)
