"""The losses of the source, equations 6 to 15."""

from ctpdeploy.train.losses.objective import LossTerms, objective
from ctpdeploy.train.losses.segmentation import (
    generalised_dice_loss,
    hardness_aware_loss,
    segmentation_loss,
    weighted_cross_entropy,
)
from ctpdeploy.train.losses.synthesis import context_loss, pixel_loss
from ctpdeploy.train.losses.weight_map import weight_map

__all__ = [
    "LossTerms",
    "context_loss",
    "generalised_dice_loss",
    "hardness_aware_loss",
    "objective",
    "pixel_loss",
    "segmentation_loss",
    "weight_map",
    "weighted_cross_entropy",
]
