"""Switchable Normalization with constant statistics: an approximation that makes the layer part of its convolution.

The statistics of the slice at hand are replaced by their mean over calibration slices, layer by layer: each layer
settles on its constants from what the layers before it, already settled, hand on. With A and B from the mean of the
mixed statistics, the layer is y = A x + B and folds into the convolution before it::

    W' = A W        b' = A b + B

That is exact for mixes that ignore the slice (w_in = w_ln = u_in = u_ln = 0). For others the error is bounded on the
calibration slices by the largest difference that a layer makes there, in standard deviations of its output; what it
means for the masks is measured by the gate.
"""

import copy

import torch
from torch import Tensor, nn

from ctpdeploy.export.fold import FoldedSwitchNorm, convolutions_before, fold_affine
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.train.networks.chain import OUTPUTS, Chain, joined

__all__ = ["make_static"]


def make_static(folded: Chain, reference: Reference) -> tuple[Chain, dict[str, float]]:
    """A copy of a folded chain without statistics, and the bound of each layer that lost them.

    Args:
        folded: in float64.
        reference: calibration slices, with the outputs of each network on them.
    """
    static = copy.deepcopy(folded)
    tensors = {name: torch.from_numpy(array).double() for name, array in reference.sources.items()}
    tensors |= {OUTPUTS[role]: torch.from_numpy(reference.outputs[role]) for role in static.wiring}
    bounds: dict[str, float] = {}
    for role, sees in static.wiring.items():
        network = static.get_submodule(role)
        for parent, name, norm in _norms(network):
            setattr(parent, name, _Settling(norm))
        with torch.inference_mode():
            network(joined(tensors, sees))
        bounds |= {f"{role}/{name}": m.bound for name, m in network.named_modules() if isinstance(m, _Settling)}
        for block, before, conv, name, layer in list(convolutions_before(network, _Settling)):
            setattr(block, before, fold_affine(conv, layer.scale, layer.shift))
            setattr(block, name, nn.Identity())
    return static, bounds


class _Settling(nn.Module):
    """A layer that takes its constants from its first batch."""

    def __init__(self, norm: FoldedSwitchNorm) -> None:
        super().__init__()
        self.norm = norm
        self.bound = 0.0

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.norm.statistics(x)
        self.scale, self.shift = self.norm.scale_and_shift(mean.mean(0, keepdim=True), var.mean(0, keepdim=True))
        y = x * self.scale + self.shift
        self.bound = float((self.norm(x) - y).abs().max() / self.norm(x).std())
        return y


def _norms(network: nn.Module) -> list[tuple[nn.Module, str, FoldedSwitchNorm]]:
    """Each normalisation with what holds it and its name there."""
    return [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, FoldedSwitchNorm)
    ]
