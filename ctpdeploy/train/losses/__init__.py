"""The losses of the source, equations 6 to 14, and those that its tables compare them with."""

from ctpdeploy.train.losses.adversarial import discriminator_loss, generator_loss
from ctpdeploy.train.losses.segmentation import (
    SEGMENTATION_TERMS,
    cross_entropy,
    dice_loss,
    generalised_dice_loss,
    hardness_aware_loss,
    weighted_cross_entropy,
)
from ctpdeploy.train.losses.synthesis import context_loss, pixel_loss
from ctpdeploy.train.losses.weight_map import weight_map

__all__ = [
    "SEGMENTATION_TERMS",
    "context_loss",
    "cross_entropy",
    "dice_loss",
    "discriminator_loss",
    "generalised_dice_loss",
    "generator_loss",
    "hardness_aware_loss",
    "pixel_loss",
    "weight_map",
    "weighted_cross_entropy",
]
