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

Folding all of it into the convolution is exact for w_in = w_ln = u_in = u_ln = 0 only: see ``static_norm``.

The two layers of Squeeze-and-Excitation act on a column, one value for each channel, which is an image of one pixel:
there ``W x + b`` is a 1x1 convolution with the same weights. There are engines without a matrix product in float32
(TensorRT for RTX, compute capability 7.5).
"""

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.squeeze_excite import SqueezeExcite
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

__all__ = ["FoldedSqueezeExcite", "FoldedSwitchNorm", "convolutions_before", "fold", "fold_affine", "fold_batch_norm"]

Module = TypeVar("Module", bound=nn.Module)
Layer = TypeVar("Layer", bound=nn.Module)


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
        scale, shift = self.scale_and_shift(*self.statistics(x))
        return x * scale + shift

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed mean and mixed variance with eps, ``(N, C, 1, 1)``."""
        mean = _slice_mean(x)
        centred = x - mean
        var = _slice_mean(centred * centred)  # two passes: nothing cancels
        if self.unbiased:
            pixels = x.shape[2] * x.shape[3]
            var = var * (pixels / (pixels - 1))
        layer_mean = _channel_mean(mean)
        offset = mean - layer_mean
        layer_var = _channel_mean(var) + _channel_mean(offset * offset)
        mixed_mean = self.mean_mix[0] * mean + self.mean_mix[1] * layer_mean + self.mean_constant
        return mixed_mean, self.var_mix[0] * var + self.var_mix[1] * layer_var + self.var_constant

    def scale_and_shift(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """A and B for mixed statistics, in their shape."""
        scale = self.weight / torch.sqrt(var)
        return scale, self.bias - scale * mean


class FoldedSqueezeExcite(nn.Module):
    """Squeeze-and-Excitation for inference, of 1x1 convolutions.

    Args:
        layer: as trained; its weights are kept.
    """

    def __init__(self, layer: SqueezeExcite) -> None:
        super().__init__()
        self.fc1, self.fc2 = _one_by_one(layer.fc1), _one_by_one(layer.fc2)
        self.relu = layer.relu

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels of ``(N, C, H, W)``; keeps the shape."""
        return x * self.fc2(self.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()


def _one_by_one(layer: nn.Linear) -> nn.Conv2d:
    """The convolution that does to each pixel what ``layer`` does to a row."""
    conv = nn.Conv2d(layer.in_features, layer.out_features, 1, dtype=layer.weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(layer.weight[:, :, None, None])
        conv.bias = layer.bias
    return conv


def _channel_mean(column: Tensor) -> Tensor:
    """Mean over the channels of ``(N, C, 1, 1)``, one for each slice.

    Over all axes but the batch: over the channels alone ONNX Runtime adds up in another order in another batch, the one
    operator of all whose result depends on it.
    """
    return column.mean((1, 2, 3), keepdim=True)


def _slice_mean(x: Tensor) -> Tensor:
    """Mean over the pixels, ``(N, C, 1, 1)``, of rows first: ONNX Runtime adds up short sums better and faster."""
    return x.mean(3, keepdim=True).mean(2, keepdim=True)


def fold_affine(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    """The convolution that does what ``conv`` and then ``scale`` and ``shift`` do, one of each per channel."""
    folded = copy.deepcopy(conv)
    scale, shift = scale.reshape(-1), shift.reshape(-1)
    with torch.no_grad():
        folded.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
        folded.bias = nn.Parameter(shift if conv.bias is None else conv.bias * scale + shift)
    return folded


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution that does what ``conv`` and then ``norm`` do in evaluation."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("batch normalisation without running statistics cannot be folded")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return fold_affine(conv, scale, norm.bias - norm.running_mean * scale)


def convolutions_before(module: nn.Module, kind: type[Layer]) -> Iterator[tuple[nn.Module, str, nn.Conv2d, str, Layer]]:
    """Layers of a kind that follow a convolution: what holds both, and each by name.

    Only in a ``Sequential`` is the order of the names that of the data.
    """
    for parent in module.modules():
        if isinstance(parent, nn.Sequential):
            for (before, conv), (name, layer) in pairwise(list(parent.named_children())):
                if isinstance(conv, nn.Conv2d) and isinstance(layer, kind):
                    yield parent, before, conv, name, layer


def fold(module: Module) -> Module:
    """A folded copy for inference, in float64."""
    folded = copy.deepcopy(module).double().eval()
    for parent, before, conv, name, norm in list(convolutions_before(folded, nn.BatchNorm2d)):
        setattr(parent, before, fold_batch_norm(conv, norm))
        setattr(parent, name, nn.Identity())
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SwitchNorm2d):
                setattr(parent, name, FoldedSwitchNorm(child))
            elif isinstance(child, SqueezeExcite):
                setattr(parent, name, FoldedSqueezeExcite(child))
    return folded
