"""The chain of the three networks, from CT perfusion to lesion logits (equations 4, 5 and 10).

::

    frames I* (6) -> extractor -> F_h
    CBF, CBV, MTT, Tmax, F_l, F_h (6) -> generator -> pseudo-DWI I_g -> slnet -> logits (2)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.unet import UNet

__all__ = ["Chain", "ChainOutputs"]


class ChainOutputs(NamedTuple):
    """What the networks say of each slice, as logits still.

    Attributes:
        extractor: F_h, ``(N, 1, H, W)``.
        pseudo_dwi: I_g, ``(N, 1, H, W)``, about [0, 1], not clipped.
        logits: ``(N, 2, H, W)``, channel 1 is lesion.
    """

    extractor: Tensor
    pseudo_dwi: Tensor
    logits: Tensor


class Chain(nn.Module):
    """Phi_e, Phi_g and Phi_s end to end; gradients flow through all of them.

    Args:
        extractor: Phi_e, 6 frames to 1 channel.
        generator: Phi_g, 6 channels to 1.
        slnet: Phi_s, 1 channel to 2 classes.
    """

    def __init__(self, extractor: UNet, generator: UNet, slnet: SLNet) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator
        self.slnet = slnet

    def forward(self, frames: Tensor, features: Tensor) -> ChainOutputs:
        """Run all networks.

        Args:
            frames: I*, ``(N, 6, H, W)``, H and W multiples of 16.
            features: F_o and F_l, ``(N, 5, H, W)``: CBF, CBV, MTT, Tmax, MIP.

        Raises:
            InputError: H or W is no multiple of 16.
        """
        extractor = self.extractor(frames)
        pseudo_dwi = self.generator(torch.cat([features, extractor], dim=1))
        return ChainOutputs(extractor, pseudo_dwi, self.slnet(pseudo_dwi))
