"""Calibration of a finished run: the probability above which its networks draw lesion.

Networks trained with weighted losses, on few patients, are not calibrated: the mean Dice is best above another
probability than 0.5. Which, the validation patients say, as well as so few can::

    D(t) = mean over the cases of Dice(p > t)                     t = 0.05, 0.10 .. 0.95
    plateau = the t around the best on which D(t) >= max D - 0.005
    threshold = the middle of the plateau

The best itself may be a spike of one patient; the middle of all that are as good is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.all_reduce import batch_sum
from ctpdeploy.train.dataset import LabelledCase
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.torch_engine import TorchEngine

__all__ = ["THRESHOLDS", "Calibration", "calibrate", "middle_of_plateau"]

THRESHOLDS: Final = tuple(percent / 100 for percent in range(5, 100, 5))

_AS_GOOD: Final = 0.005
"""Mean Dice given away for a threshold that rests on more than the best one's own neighbourhood: half a point."""


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


def calibrate(chain: Chain, cases: Sequence[LabelledCase]) -> Calibration:
    """Find the threshold; puts the chain into evaluation mode.

    Args:
        chain: of the best epoch.
        cases: this process's share of the validation cases.
    """
    engine, device = TorchEngine(chain), next(chain.parameters()).device
    rows = [[*_dice(engine, case), 1.0] for case in cases]
    empty = np.zeros((0, len(THRESHOLDS) + 1))
    *sums, count = batch_sum(torch.from_numpy(np.array(rows or empty).sum(axis=0)).to(device)).tolist()
    dice = np.array(sums) / count
    chosen, low, high = middle_of_plateau(dice)
    return Calibration(
        threshold=THRESHOLDS[chosen],
        dice=float(dice[chosen]),
        uncalibrated_dice=float(dice[THRESHOLDS.index(PreprocessConfig.threshold)]),
        plateau=(THRESHOLDS[low], THRESHOLDS[high]),
        cases=round(count),
    )


def middle_of_plateau(dice: NDArray[np.float64]) -> tuple[int, int, int]:
    """Index of the middle of the plateau, of two the one nearer to that of 0.5, and of the plateau's ends.

    Args:
        dice: mean at each of ``THRESHOLDS``.
    """
    good, best = dice >= dice.max() - _AS_GOOD, int(dice.argmax())
    low = best - int(np.append(~good[best::-1], True).argmax()) + 1
    high = best + int(np.append(~good[best:], True).argmax()) - 1
    half = (len(THRESHOLDS) - 1) / 2
    return min({(low + high) // 2, -(-(low + high) // 2)}, key=lambda i: abs(i - half)), low, high


def _dice(engine: TorchEngine, case: LabelledCase) -> list[float]:
    probability = engine.run(case.inputs).probability
    return [agreement(probability > threshold, case.lesion, voxel_ml=1.0).dice for threshold in THRESHOLDS]
