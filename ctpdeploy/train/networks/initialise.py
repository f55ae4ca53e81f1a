"""Initial weights: Xavier (Glorot and Bengio, 2010), by section 4.1 of the source."""

import torch
from torch import nn

from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

__all__ = ["initialise"]


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill a network in place: weights Xavier-uniform from ``generator``, biases 0, normalisation neutral."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | SwitchNorm2d):
            module.reset_parameters()
