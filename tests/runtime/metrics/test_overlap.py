"""Dice, precision, recall and relative volume error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctpdeploy.runtime.metrics.overlap import agreement

masks = arrays(bool, (2, 5, 6), elements=st.booleans())


@given(masks, masks)
def test_agreement_counts(mask: np.ndarray, truth: np.ndarray):
    tp, fp, fn = (mask & truth).sum(), (mask & ~truth).sum(), (~mask & truth).sum()
    got = agreement(mask, truth, 0.5)
    assert got.dice == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0)
    assert got.precision == pytest.approx(tp / (tp + fp) if tp + fp else float(not truth.any()))
    assert got.recall == pytest.approx(tp / (tp + fn) if tp + fn else 1.0)
    assert got.volume_ml == pytest.approx(0.5 * mask.sum())
    assert got.true_volume_ml == pytest.approx(0.5 * truth.sum())
    assert got.rve == pytest.approx(abs(fp - fn) / (tp + fn) if tp + fn else math.nan, nan_ok=True)
    assert got.dv_ml == pytest.approx(0.5 * (int(fp) - int(fn))), "positive where too much is drawn"
    assert got.abs_dv_ml == abs(got.dv_ml)
    swapped = agreement(truth, mask, 0.5)
    assert swapped.dv_ml == -got.dv_ml
    assert swapped.dice == pytest.approx(got.dice)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement(np.zeros((2, 3), bool), np.zeros((3, 2), bool), 1.0)
