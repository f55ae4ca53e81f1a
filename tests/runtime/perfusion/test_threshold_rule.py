"""The rule Tmax > 6 s and rCBF < 30 %."""

import dataclasses

import numpy as np
from numpy.testing import assert_array_equal

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule


def test_the_threshold_rule_by_hand(phantom_case: Case):
    shape = phantom_case.series.shape[1:]
    cbf, tmax = np.full(shape, 50.0), np.full(shape, 2.0)
    tmax[0, :8], cbf[0, :4] = 7.0, 10.0  # late; of that half under 30 % of the normal 50
    cbf[1, :4] = 10.0  # low but not late
    tmax[1, 10, 10], cbf[1, 10, 10] = 6.0, 1.0  # 6 s is not above 6 s
    maps = {**phantom_case.maps, "cbf": cbf, "tmax": tmax, "cbv": np.ones(shape), "mtt": np.ones(shape)}
    expected = np.zeros(shape, dtype=bool)
    expected[0, :4] = True
    assert_array_equal(threshold_rule(dataclasses.replace(phantom_case, maps=maps)), expected)
    late_everywhere = dataclasses.replace(phantom_case, maps={**maps, "tmax": np.full(shape, 9.0)})
    assert not threshold_rule(late_everywhere).any()
