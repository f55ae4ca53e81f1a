"""Folding normalisation into constants, in float64.

Batch normalisation in evaluation is an affine map with constants, so it folds into the convolution before it::

    W' = W g / sqrt(var + eps)        b' = bias + (b - mean) g / sqrt(var + eps)        exactly

It does not fold where anything stands between the two: FCN adds a skip connection before it. Such a layer stays, as the
one scale and shift that it is.

Switchable Normalization mixes statistics of the slice at hand (IN, LN) with running averages (BN). Only the latter,
the mixing weights and the affine are constants, so the layer becomes one statistics pass and one scale and shift,
equal to rounding. With m, v the mean and variance of a channel over its pixels and (w, u) the softmaxed mixes::

    mu = mean_c m               s = mean_c v + mean_c (m - mu)^2
    A  = weight / sqrt(u_in v + u_ln s + S)            S = u_bn running_var + eps
    B  = bias - A (w_in m + w_ln mu + K)               K = w_bn running_mean
    y  = A x + B

Folding all of it into the convolution would be exact for w_in = w_ln = u_in = u_ln = 0 only, and is not done here.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

__all__ = ["FoldedSwitchNorm", "fold", "fold_batch_norm"]

Module = TypeVar("Module", bound=nn.Module)


class FoldedSwitchNorm(nn.Module):
    """Switchable Normalization for inference: one statistics pass, one scale and shift per slice and channel.

    Args:
        norm: the trained layer; its running statistics become constants.
    """

    weight: Tensor
    bias: Tensor
    mean_constant: Tensor
    var_constant: Tensor

    def __init__(self, norm: SwitchNorm2d) -> None:
        super().__init__()
        with torch.no_grad():
            w, u = norm.mixes()
            mean, var = norm.running_statistics()
            self.mean_mix = w.tolist()[:2]
            self.var_mix = u.tolist()[:2]
            self.unbiased = norm.unbiased
            column = (-1, 1, 1)
            self.register_buffer("weight", norm.weight.detach().clone().reshape(column))
            self.register_buffer("bias", norm.bias.detach().clone().reshape(column))
            self.register_buffer("mean_constant", (w[2] * mean).reshape(column))
            self.register_buffer("var_constant", (u[2] * var + norm.eps).reshape(column))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)``; keeps the shape."""
        mean = x.mean((2, 3), keepdim=True)
        centred = x - mean
        var = (centred * centred).mean((2, 3), keepdim=True)  # two passes: nothing cancels
        if self.unbiased:
            pixels = x.shape[2] * x.shape[3]
            var = var * (pixels / (pixels - 1))
        layer_mean = mean.mean(1, keepdim=True)
        offset = mean - layer_mean
        layer_var = var.mean(1, keepdim=True) + (offset * offset).mean(1, keepdim=True)
        mixed = self.var_mix[0] * var + self.var_mix[1] * layer_var + self.var_constant
        scale = self.weight / torch.sqrt(mixed)
        shift = self.bias - scale * (self.mean_mix[0] * mean + self.mean_mix[1] * layer_mean + self.mean_constant)
        return x * scale + shift


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution that does what ``conv`` and then ``norm`` do in evaluation."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("batch normalisation without running statistics cannot be folded")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = conv.bias if conv.bias is not None else torch.zeros_like(norm.running_mean)
        folded.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
        folded.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale)
    return folded


def fold(module: Module) -> Module:
    """A folded copy for inference, in float64."""
    folded = copy.deepcopy(module).double().eval()
    for parent in list(folded.modules()):
        previous: nn.Module | None = None
        previous_name = ""
        for name, child in list(parent.named_children()):
            if isinstance(child, SwitchNorm2d):
                setattr(parent, name, FoldedSwitchNorm(child))
            elif (
                isinstance(child, nn.BatchNorm2d)
                and isinstance(parent, nn.Sequential)  # elsewhere the order of the names is not that of the data
                and isinstance(previous, nn.Conv2d)
            ):
                setattr(parent, previous_name, fold_batch_norm(previous, child))
                setattr(parent, name, nn.Identity())
            previous, previous_name = child, name
    return folded
