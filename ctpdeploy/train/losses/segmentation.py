"""The segmentation losses: L_s = L_WCE + L_HGD (equations 11 to 14), and what table 4 compares it with.

Sums run over all pixels of the mini-batch, in all processes. Give float32 or float64: the class weights 1 / N^2 vanish
in float16.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ctpdeploy.paper.systems import SegmentationTerm
from ctpdeploy.train.all_reduce import batch_mean, batch_sum

__all__ = [
    "SEGMENTATION_TERMS",
    "cross_entropy",
    "dice_loss",
    "generalised_dice_loss",
    "hardness_aware_loss",
    "weighted_cross_entropy",
]

SMALLEST_OVERLAP = 1e-6
"""Bound of the generalised Dice in L_HGD, so that no overlap at all is a large loss and not infinity."""


def cross_entropy(logits: Tensor, lesion: Tensor) -> Tensor:
    """L_CE, the mean cross entropy of the pixels.

    Args:
        logits: ``(N, 2, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
    """
    return batch_mean(functional.cross_entropy(logits, lesion.long(), reduction="none"))


def weighted_cross_entropy(logits: Tensor, lesion: Tensor, weight: Tensor) -> Tensor:
    """L_WCE, the cross entropy averaged with the weights A (equation 12).

    Args:
        logits: ``(N, 2, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
        weight: A, ``(N, H, W)``.
    """
    entropy = functional.cross_entropy(logits, lesion.long(), reduction="none")
    above, below = batch_sum(torch.stack([(weight * entropy).sum(), weight.sum()])).unbind()
    return above / below


def dice_loss(probability: Tensor, lesion: Tensor) -> Tensor:
    """L_DICE = 1 - 2 sum p g / (sum p^2 + sum g^2) of the lesion's probability p (Milletari et al., 2016).

    A mini-batch without lesion loses 1, whatever the probability, and teaches nothing.

    Args:
        probability: P, ``(N, 2, H, W)``.
        lesion: truth g, bool ``(N, H, W)``.
    """
    p, g = probability[:, 1], lesion.to(probability.dtype)
    overlap, total = batch_sum(torch.stack([(p * g).sum(), p.square().sum() + g.sum()])).unbind()
    return 1 - 2 * overlap / total.clamp(min=torch.finfo(total.dtype).tiny)  # p^2 may all have vanished


def generalised_dice_loss(probability: Tensor, lesion: Tensor, *, per_image: bool = False) -> Tensor:
    """L_GD with class weights m_c = 1 / N_c^2 (equation 14; Sudre et al., 2017).

    A class that the mini-batch lacks, whose weight would be 1/0, takes the largest finite one, as in the reference
    implementation of Sudre et al.

    Args:
        probability: P, ``(N, 2, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
        per_image: the mean of the losses of each slice, rather than one loss of the mini-batch.
    """
    loss = 1 - _generalised_dice(probability, lesion, per_image)
    return batch_mean(loss) if per_image else loss


def hardness_aware_loss(probability: Tensor, lesion: Tensor, *, per_image: bool = False) -> Tensor:
    """L_HGD = -log(1 - L_GD), steeper than L_GD where that is large (equation 13); arguments as there."""
    loss = -_generalised_dice(probability, lesion, per_image).clamp(min=SMALLEST_OVERLAP).log()
    return batch_mean(loss) if per_image else loss


def _generalised_dice(probability: Tensor, lesion: Tensor, per_image: bool) -> Tensor:
    """1 - L_GD, computed as such and not by subtraction; a scalar, or ``(N,)``."""
    pixels = (2, 3) if per_image else (0, 2, 3)
    truth = torch.stack([~lesion, lesion], dim=1).to(probability.dtype)
    sums = torch.stack([part.sum(dim=pixels) for part in (truth, truth * probability, probability)])
    counts, overlap, predicted = (sums if per_image else batch_sum(sums)).unbind()
    weight = torch.where(counts > 0, counts.clamp(min=1) ** -2, 0.0)
    weight = torch.where(counts > 0, weight, weight.amax(dim=-1, keepdim=True))
    return 2 * (weight * overlap).sum(dim=-1) / (weight * (counts + predicted)).sum(dim=-1)


SEGMENTATION_TERMS: dict[SegmentationTerm, Callable[[Tensor, Tensor, Tensor, bool], Tensor]] = {
    "ce": lambda logits, lesion, _weight, _per_image: cross_entropy(logits, lesion),
    "wce": lambda logits, lesion, weight, _per_image: weighted_cross_entropy(logits, lesion, weight),
    "dice": lambda logits, lesion, _weight, _per_image: dice_loss(logits.softmax(dim=1), lesion),
    "gd": lambda logits, lesion, _weight, per_image: generalised_dice_loss(
        logits.softmax(dim=1), lesion, per_image=per_image
    ),
    "hgd": lambda logits, lesion, _weight, per_image: hardness_aware_loss(
        logits.softmax(dim=1), lesion, per_image=per_image
    ),
}
"""The terms that systems add up, each of logits, lesion, weights A and whether L_GD and L_HGD count per image."""
