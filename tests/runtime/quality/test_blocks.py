"""Blocks: means over squares of the series' own pixels, thinned where these are small."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.phantom import Patient
from ctpdeploy.runtime.quality.blocks import Blocks


def test_means_by_hand(patient: Patient) -> None:
    seen = Blocks.of(patient.series, patient.spacing)
    assert seen.step == (1, 1)  # 2 mm
    rows, columns = seen.size
    first = patient.series[3, 1, 5 * rows : 6 * rows, 7 * columns : 8 * columns]
    assert_allclose(seen.frames[3, 1, 5, 7], first.mean(), rtol=1e-5)
    assert_array_equal(seen.means(patient.series[3])[1], seen.frames[3, 1])


@pytest.mark.parametrize("factor", [2, 3])
def test_finer_pixels_are_thinned_out_and_give_the_same(patient: Patient, factor: int) -> None:
    coarse = Blocks.of(patient.series, patient.spacing)
    fine = patient.series[:6].repeat(factor, axis=2).repeat(factor, axis=3)
    dz, dy, dx = patient.spacing
    seen = Blocks.of(fine, (dz, dy / factor, dx / factor))
    assert seen.step == (factor, factor)
    assert_array_equal(seen.frames, coarse.frames[:6])


def test_blocks_inside_lie_in_the_brain(patient: Patient) -> None:
    seen = Blocks.of(patient.series, patient.spacing)
    share = seen.means(patient.brain)[seen.inside]  # the skull also holds the fluid around the brain
    assert np.mean(share > 0.9) > 0.95
    assert np.count_nonzero(seen.inside) > 200
