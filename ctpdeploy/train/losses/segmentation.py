"""The segmentation loss L_s = L_WCE + L_HGD (equations 11 to 14).

Sums run over all pixels of the mini-batch. Give float32 or float64: the class weights 1 / N^2 vanish in float16.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["generalised_dice_loss", "hardness_aware_loss", "segmentation_loss", "weighted_cross_entropy"]

SMALLEST_OVERLAP = 1e-6
"""Bound of the generalised Dice in L_HGD, so that no overlap at all is a large loss and not infinity."""


def weighted_cross_entropy(logits: Tensor, lesion: Tensor, weight: Tensor) -> Tensor:
    """L_WCE, the cross entropy averaged with the weights A (equation 12).

    Args:
        logits: ``(N, 2, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
        weight: A, ``(N, H, W)``.
    """
    entropy = functional.cross_entropy(logits, lesion.long(), reduction="none")
    return (weight * entropy).sum() / weight.sum()


def generalised_dice_loss(probability: Tensor, lesion: Tensor) -> Tensor:
    """L_GD with class weights m_c = 1 / N_c^2 (equation 14; Sudre et al., 2017).

    A class that the mini-batch lacks, whose weight would be 1/0, takes the largest finite one, as in the reference
    implementation of Sudre et al.

    Args:
        probability: P, ``(N, 2, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
    """
    return 1 - _generalised_dice(probability, lesion)


def hardness_aware_loss(probability: Tensor, lesion: Tensor) -> Tensor:
    """L_HGD = -log(1 - L_GD), steeper than L_GD where that is large (equation 13)."""
    return -_generalised_dice(probability, lesion).clamp(min=SMALLEST_OVERLAP).log()


def segmentation_loss(logits: Tensor, lesion: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of L_s, L_WCE and L_HGD (equation 11); arguments as in :func:`weighted_cross_entropy`."""
    return weighted_cross_entropy(logits, lesion, weight), hardness_aware_loss(logits.softmax(dim=1), lesion)


def _generalised_dice(probability: Tensor, lesion: Tensor) -> Tensor:
    """1 - L_GD, computed as such and not by subtraction."""
    truth = torch.stack([~lesion, lesion], dim=1).to(probability.dtype)
    counts = truth.sum(dim=(0, 2, 3))
    weight = torch.where(counts > 0, counts.clamp(min=1) ** -2, 0.0)
    weight = torch.where(counts > 0, weight, weight.max())
    overlap = (truth * probability).sum(dim=(0, 2, 3))
    total = counts + probability.sum(dim=(0, 2, 3))
    return 2 * (weight * overlap).sum() / (weight * total).sum()
