"""The threshold that a run finds for its networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.data.slices import SliceOutputs
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.calibration import THRESHOLDS, calibrate, middle_of_plateau
from ctpdeploy.train.dataset import LabelledCase, read_labelled
from ctpdeploy.train.learner import make_chain


def curve(**dice: float) -> np.ndarray:
    """Dice at each threshold: 0.3, and others by names such as ``at_45``."""
    found = np.full(len(THRESHOLDS), 0.3)
    for name, value in dice.items():
        found[THRESHOLDS.index(int(name.removeprefix("at_")) / 100)] = value
    return found


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        (curve(at_30=0.5), (0.3, 0.3, 0.3)),
        (curve(at_20=0.499, at_25=0.496, at_30=0.5, at_35=0.494), (0.25, 0.2, 0.3)),
        (curve(at_20=0.5, at_25=0.5), (0.25, 0.2, 0.25)),
        (curve(at_80=0.5, at_85=0.5), (0.8, 0.8, 0.85)),
        (curve(at_10=0.499, at_30=0.5), (0.3, 0.3, 0.3)),  # as good, but not around it
        (curve(at_5=0.5, at_95=0.4), (0.05, 0.05, 0.05)),
        (curve(at_95=0.5), (0.95, 0.95, 0.95)),
        (curve(), (0.5, 0.05, 0.95)),
    ],
)
def test_it_is_the_middle_of_all_that_are_as_good(dice: np.ndarray, expected: tuple[float, float, float]) -> None:
    assert tuple(THRESHOLDS[i] for i in middle_of_plateau(dice)) == expected


@pytest.fixture
def cases(data, config: TrainConfig) -> list[LabelledCase]:  # noqa: ANN001
    return [read_labelled(case, config) for case in find_cases(data)]


def test_networks_that_are_too_sure_of_health_get_a_lower_threshold(
    cases: list[LabelledCase], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesions = iter([case.lesion for case in cases])

    def run(*_: object) -> SliceOutputs:
        return SliceOutputs(probability=np.where(next(lesions), 0.32, 0.08).astype(np.float32))

    monkeypatch.setattr("ctpdeploy.train.calibration.TorchEngine.run", run)
    found = calibrate(make_chain(SYSTEMS["unet"], replace(config, system="unet")), cases)
    assert (found.threshold, found.plateau) == (0.2, (0.1, 0.3))
    assert (found.dice, found.uncalibrated_dice, found.cases) == (1.0, 0.0, 4)


def test_processes_find_the_same_of_their_shares(
    cases: list[LabelledCase], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum over processes as of two that hold two cases each; one may hold none."""
    torch.manual_seed(0)
    chain = make_chain(SYSTEMS["unet"], replace(config, system="unet"))
    together, shares = calibrate(chain, cases), list[torch.Tensor]()

    def keep(share: torch.Tensor) -> torch.Tensor:
        shares.append(share)
        return torch.ones_like(share)

    monkeypatch.setattr("ctpdeploy.train.calibration.batch_sum", keep)
    for part in (cases[:2], cases[2:], []):
        calibrate(chain, part)
    assert shares[2].tolist() == [0.0] * (len(THRESHOLDS) + 1)
    total = sum(shares)
    monkeypatch.setattr("ctpdeploy.train.calibration.batch_sum", lambda _: total)
    assert calibrate(chain, cases[:2]) == together
