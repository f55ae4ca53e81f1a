"""The total loss L = L_s + alpha L_g + beta L_e (equation 15)."""

from typing import NamedTuple

import torch
from torch import Tensor

from ctpdeploy.train.losses.segmentation import segmentation_loss
from ctpdeploy.train.losses.synthesis import context_loss, pixel_loss
from ctpdeploy.train.networks.chain import ChainOutputs
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.settings import LossConfig

__all__ = ["LossTerms", "objective"]


class LossTerms(NamedTuple):
    """The total loss and what it is made of, before weighting; scalars.

    Attributes:
        total: L (equation 15), the one to differentiate.
        cross_entropy: L_WCE of the segmentation (equation 12).
        hardness_aware: L_HGD of the segmentation (equation 13).
        pixel: l_l of the pseudo-DWI (equation 7).
        context: l_h of the pseudo-DWI (equation 8).
        extractor_pixel: l_l of F_h.
        extractor_context: l_h of F_h.
        context_spread: standard deviation of Phi_c(I_d) over the batch, no part of the loss: where it falls to 0,
            Phi_c says the same of every image and the context losses teach nothing.
    """

    total: Tensor
    cross_entropy: Tensor
    hardness_aware: Tensor
    pixel: Tensor
    context: Tensor
    extractor_pixel: Tensor
    extractor_context: Tensor
    context_spread: Tensor


def objective(
    outputs: ChainOutputs,
    dwi: Tensor,
    lesion: Tensor,
    weight: Tensor,
    context_encoder: ContextEncoder,
    config: LossConfig,
) -> LossTerms:
    """The loss of a mini-batch. L_e is L_g with F_h in place of I_g: same A, same gamma, same Phi_c.

    Args:
        outputs: what the chain said.
        dwi: I_d, ``(N, 1, H, W)`` in [0, 1].
        lesion: truth, bool ``(N, H, W)``.
        weight: A, ``(N, H, W)``.
        context_encoder: Phi_c.
        config: alpha, beta and gamma.
    """
    cross_entropy, hardness_aware = segmentation_loss(outputs.logits, lesion, weight)
    codes = context_encoder(torch.cat([outputs.pseudo_dwi, outputs.extractor, dwi]))
    code, extractor_code, target = codes.chunk(3)
    pixel, context = pixel_loss(outputs.pseudo_dwi, dwi, weight), context_loss(code, target)
    extractor_pixel = pixel_loss(outputs.extractor, dwi, weight)
    extractor_context = context_loss(extractor_code, target)
    synthesis = pixel + config.gamma * context
    extraction = extractor_pixel + config.gamma * extractor_context
    return LossTerms(
        total=cross_entropy + hardness_aware + config.alpha * synthesis + config.beta * extraction,
        cross_entropy=cross_entropy,
        hardness_aware=hardness_aware,
        pixel=pixel,
        context=context,
        extractor_pixel=extractor_pixel,
        extractor_context=extractor_context,
        context_spread=target.detach().std(dim=0, correction=0).mean(),
    )
