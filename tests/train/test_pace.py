"""What changes from step to step."""

import math
from itertools import pairwise

import pytest

from ctpdeploy.train import LossConfig, OptimiserConfig, TrainConfig
from ctpdeploy.train.pace import Pace, learning_rate

RECIPE = OptimiserConfig(learning_rate=0.003, schedule="one_cycle", warm_up=0.1)


def test_as_printed_the_rate_drops_after_180_of_300_epochs() -> None:
    rates = [learning_rate(OptimiserConfig(), step, 300 * 7) for step in range(300 * 7)]
    assert rates == 180 * 7 * [0.002] + 120 * 7 * [pytest.approx(0.0004)]


def test_one_cycle_rises_over_the_warm_up_and_falls_to_zero() -> None:
    rates = [learning_rate(RECIPE, step, 200) for step in range(200)]
    assert rates[:20] == pytest.approx([0.003 * (step + 1) / 20 for step in range(20)])
    assert rates[20] == 0.003
    assert rates[110] == pytest.approx(0.0015)
    assert all(later < earlier for earlier, later in pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(0.0015 * (1 + math.cos(math.pi * 179 / 180)))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_stages_have_a_rate(steps: int) -> None:
    assert all(0.0 < learning_rate(RECIPE, step, steps) <= 0.003 for step in range(steps))


def test_the_share_of_the_synthesis_falls_evenly() -> None:
    config = TrainConfig(loss=LossConfig(anneal=0.2))
    assert [Pace.of(config, step, 5).synthesis for step in range(5)] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert {Pace.of(TrainConfig(), step, 5).synthesis for step in range(5)} == {1.0}
    assert Pace.of(config, 0, 1).synthesis == 1.0
