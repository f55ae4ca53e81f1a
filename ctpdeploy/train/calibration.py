"""Calibration of a finished run: the probability above which its networks draw lesion.

Networks trained with weighted losses, on few patients, are not calibrated: the mean Dice is best above another
probability than 0.5. Which, the validation patients say, as well as so few can::

    D(t) = mean over the cases of Dice(p > t)                     t = 0.05, 0.10 .. 0.95
    plateau = the t around the best on which max D - D(t) <= max(0.005, its standard error over the cases)
    threshold = the one nearest to 0.5 on the plateau

The best itself may be a spike of one patient. The fewer they are, the wider is the plateau; of a single one 0.5 stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.all_reduce import batch_sum
from ctpdeploy.train.dataset import LabelledCase

__all__ = ["THRESHOLDS", "Calibration", "calibrate", "nearest_on_plateau"]

THRESHOLDS: Final = tuple(percent / 100 for percent in range(5, 100, 5))

_AS_GOOD: Final = 0.005
"""Mean Dice given away for a threshold nearer to 0.5, whatever the number of cases: half a point."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The outcome.

    Attributes:
        threshold: one of ``THRESHOLDS``.
        dice: mean of the validation cases at it, whole volumes on the networks' grid.
        uncalibrated_dice: the same at 0.5.
        plateau: least and greatest threshold that is as good.
        cases: that it was found on.
    """

    threshold: float
    dice: float
    uncalibrated_dice: float
    plateau: tuple[float, float]
    cases: int


def calibrate(engine: Engine, cases: Sequence[LabelledCase], device: str | torch.device = "cpu") -> Calibration:
    """Find the threshold.

    Args:
        engine: of the networks of the best epoch.
        cases: this process's share of the validation cases.
        device: where several processes add up.
    """
    rows = np.array([[*_dice(engine, case), 1.0] for case in cases]).reshape(-1, len(THRESHOLDS) + 1)
    moments = batch_sum(torch.from_numpy(rows.T @ rows).to(device)).cpu().numpy()
    count = moments[-1, -1]
    dice = moments[-1, :-1] / count
    chosen, low, high = nearest_on_plateau(dice, _standard_error(moments))
    return Calibration(
        threshold=THRESHOLDS[chosen],
        dice=float(dice[chosen]),
        uncalibrated_dice=float(dice[THRESHOLDS.index(PreprocessConfig.threshold)]),
        plateau=(THRESHOLDS[low], THRESHOLDS[high]),
        cases=round(count),
    )


def nearest_on_plateau(dice: NDArray[np.float64], error: NDArray[np.float64]) -> tuple[int, int, int]:
    """Index of the threshold nearest to 0.5 on the plateau, and of the plateau's ends.

    Args:
        dice: mean at each of ``THRESHOLDS``.
        error: standard error of its difference from the best.
    """
    good, best = dice.max() - dice <= np.maximum(error, _AS_GOOD), int(dice.argmax())
    low = best - int(np.append(~good[best::-1], True).argmax()) + 1
    high = best + int(np.append(~good[best:], True).argmax()) - 1
    return int(np.clip(THRESHOLDS.index(PreprocessConfig.threshold), low, high)), low, high


def _standard_error(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the mean difference between the best threshold and each other one; infinite for a single case.

    ``moments`` are ``(n + 1, n + 1)`` sums over the cases of the products of their Dice, and of a 1 at the end.
    """
    count, sums, products = moments[-1, -1], moments[-1, :-1], moments[:-1, :-1]
    best, squares = int(sums.argmax()), np.diag(products)
    difference = (sums[best] - sums) / count
    variance = (squares + squares[best] - 2 * products[best]) / count - difference**2
    return np.sqrt(np.maximum(variance, 0.0) / (count - 1)) if count > 1 else np.full(len(sums), np.inf)


def _dice(engine: Engine, case: LabelledCase) -> list[float]:
    probability = engine.run(case.inputs).probability
    return [agreement(probability > threshold, case.lesion, voxel_ml=1.0).dice for threshold in THRESHOLDS]
