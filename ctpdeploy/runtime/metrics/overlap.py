"""Agreement of a mask with the truth by counting voxels: Dice (equation 16), precision, recall and volumes."""

from dataclasses import dataclass

import numpy as np

from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Overlap and volume of a mask against the truth.

    Attributes:
        dice: 2 TP / (2 TP + FP + FN); 1 if both are empty.
        precision: TP / (TP + FP); 0 if the mask is empty and the truth is not, 1 if both are.
        recall: TP / (TP + FN); 1 if the truth is empty.
        rve: relative volume error ``abs(V - V_true) / V_true``, 1 for 100 %; NaN if the truth is empty.
        dv_ml: signed volume difference ``V - V_true``, positive where too much is drawn.
        abs_dv_ml: the same without its sign.
        volume_ml: volume of the mask.
        true_volume_ml: volume of the truth.
    """

    dice: float
    precision: float
    recall: float
    rve: float
    dv_ml: float
    abs_dv_ml: float
    volume_ml: float
    true_volume_ml: float


def agreement(mask: BoolArray, truth: BoolArray, voxel_ml: float) -> Agreement:
    """Compare two masks of the same shape, over the whole volume.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != truth.shape:
        raise ValueError(f"a mask of shape {mask.shape} cannot be compared with a truth of shape {truth.shape}")
    true_positive = int(np.count_nonzero(mask & truth))
    predicted, actual = int(np.count_nonzero(mask)), int(np.count_nonzero(truth))
    return Agreement(
        dice=2 * true_positive / (predicted + actual) if predicted + actual else 1.0,
        precision=true_positive / predicted if predicted else float(actual == 0),
        recall=true_positive / actual if actual else 1.0,
        rve=abs(predicted - actual) / actual if actual else float("nan"),
        dv_ml=(predicted - actual) * voxel_ml,
        abs_dv_ml=abs(predicted - actual) * voxel_ml,
        volume_ml=predicted * voxel_ml,
        true_volume_ml=actual * voxel_ml,
    )
