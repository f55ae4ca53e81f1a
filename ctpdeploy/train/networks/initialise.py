"""Initial weights: Xavier (Glorot and Bengio, 2010), by section 4.1 of the source."""

import math

import torch
from torch import nn

from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

__all__ = ["initialise", "set_prior"]


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fill a network in place: weights Xavier-uniform from ``generator``, biases 0, normalisation neutral."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | SwitchNorm2d):
            module.reset_parameters()


def set_prior(segmenter: nn.Module, probability: float) -> None:
    """Let a segmenter of two classes start from a probability of lesion, by the bias of its head.

    Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, 2017, section 4.1.
    """
    bias = segmenter.get_submodule("head").get_parameter("bias")
    with torch.no_grad():
        bias[1] = math.log(probability / (1 - probability))
