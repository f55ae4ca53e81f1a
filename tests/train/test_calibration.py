"""The threshold that a run finds for its networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.data.slices import SliceOutputs
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.calibration import THRESHOLDS, calibrate, nearest_on_plateau
from ctpdeploy.train.dataset import LabelledCase, read_labelled
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.torch_engine import TorchEngine


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
        (curve(at_20=0.499, at_25=0.496, at_30=0.5, at_35=0.494), (0.3, 0.2, 0.3)),
        (curve(at_20=0.5, at_25=0.5), (0.25, 0.2, 0.25)),
        (curve(at_80=0.5, at_85=0.5), (0.8, 0.8, 0.85)),
        (curve(at_45=0.5, at_50=0.496, at_55=0.499), (0.5, 0.45, 0.55)),
        (curve(at_10=0.499, at_30=0.5), (0.3, 0.3, 0.3)),  # as good, but not around it
        (curve(at_5=0.5, at_95=0.4), (0.05, 0.05, 0.05)),
        (curve(at_95=0.5), (0.95, 0.95, 0.95)),
        (curve(), (0.5, 0.05, 0.95)),
    ],
)
def test_it_is_the_nearest_to_a_half_of_all_that_are_as_good(
    dice: np.ndarray, expected: tuple[float, float, float]
) -> None:
    assert tuple(THRESHOLDS[i] for i in nearest_on_plateau(dice, np.zeros(len(dice)))) == expected


def test_what_the_cases_cannot_tell_apart_is_as_good() -> None:
    dice = curve(at_20=0.5, at_25=0.46, at_30=0.46, at_35=0.4)
    found = nearest_on_plateau(dice, np.full(len(dice), 0.05))
    assert tuple(THRESHOLDS[i] for i in found) == (0.3, 0.2, 0.3)


def test_the_standard_error_is_that_of_paired_differences(
    cases: list[LabelledCase], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three cases that all gain by 0.1 say more than three of which one gains by 0.3; one case says nothing."""
    engine = TorchEngine(make_chain(SYSTEMS["unet"], replace(config, system="unet")))

    def found(*gains: float) -> float:
        rows = iter([curve(at_20=0.3 + gain) for gain in gains])
        monkeypatch.setattr("ctpdeploy.train.calibration._dice", lambda *_: next(rows).tolist())
        return calibrate(engine, (cases * 2)[: len(gains)]).threshold

    assert found(0.1, 0.11, 0.1) == 0.2
    assert found(0.3, -0.02, 0.0) == 0.5
    assert found(0.3) == 0.5


@pytest.fixture
def cases(data, config: TrainConfig) -> list[LabelledCase]:  # noqa: ANN001
    return [read_labelled(case, config) for case in find_cases(data)]


def test_networks_that_are_too_sure_of_health_get_a_lower_threshold(
    cases: list[LabelledCase], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesions = iter([case.lesion for case in cases])

    def run(*_: object) -> SliceOutputs:
        return SliceOutputs(probability=np.where(next(lesions), 0.32, 0.08).astype(np.float32))

    monkeypatch.setattr("ctpdeploy.train.torch_engine.TorchEngine.run", run)
    found = calibrate(TorchEngine(make_chain(SYSTEMS["unet"], replace(config, system="unet"))), cases)
    assert (found.threshold, found.plateau) == (0.3, (0.1, 0.3))
    assert (found.dice, found.uncalibrated_dice, found.cases) == (1.0, 0.0, 4)


def test_processes_find_the_same_of_their_shares(
    cases: list[LabelledCase], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum over processes as of two that hold two cases each; one may hold none."""
    torch.manual_seed(0)
    engine = TorchEngine(make_chain(SYSTEMS["unet"], replace(config, system="unet")))
    together, shares = calibrate(engine, cases), list[torch.Tensor]()

    def keep(share: torch.Tensor) -> torch.Tensor:
        shares.append(share)
        return torch.ones_like(share)

    monkeypatch.setattr("ctpdeploy.train.calibration.batch_sum", keep)
    for part in (cases[:2], cases[2:], []):
        calibrate(engine, part)
    assert not shares[2].any()
    total = sum(shares)
    monkeypatch.setattr("ctpdeploy.train.calibration.batch_sum", lambda _: total)
    apart = calibrate(engine, cases[:2])
    assert (apart.threshold, apart.plateau, apart.cases) == (together.threshold, together.plateau, together.cases)
    assert apart.dice == pytest.approx(together.dice, rel=1e-12)
