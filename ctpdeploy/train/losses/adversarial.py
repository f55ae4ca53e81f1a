"""The least-squares GAN losses (Mao et al., 2017) of the GAN rows of table 1.

The target of the discriminator is 1 for real images and 0 for generated ones, that of the generator 1 for its own.
Squared errors are averaged over the judgements of a scale, in all processes, and added over the scales. Factors of
1/2, which the cited papers and their code set differently, are left out: of the discriminator's loss alone RMSprop
divides them out again, and the generator's has a weight beside it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ctpdeploy.train.all_reduce import batch_mean

__all__ = ["discriminator_loss", "generator_loss"]


def generator_loss(judgements: Sequence[Tensor]) -> Tensor:
    """Squared error of the discriminator's output for generated images against 1, the target for real ones.

    Args:
        judgements: its output for them, ``(N, 1, h, w)`` for each scale.
    """
    return torch.stack([batch_mean((judgement - 1).square()) for judgement in judgements]).sum()


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Squared error of the discriminator's output against 1 for real and 0 for generated images.

    Args:
        real: its output for real images, ``(N, 1, h, w)`` for each scale.
        fake: its output for generated ones.
    """
    return generator_loss(real) + torch.stack([batch_mean(judgement.square()) for judgement in fake]).sum()
