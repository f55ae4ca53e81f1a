"""Initial weights."""

import pytest
import torch
from support.torch_networks import SMALL
from torch import nn

from ctpdeploy.train.networks import initialise


@pytest.mark.parametrize("name", SMALL)
def test_initialise_is_xavier_and_depends_on_the_generator_alone(name: str) -> None:
    first, second = SMALL[name](), SMALL[name]()
    for network in (first, second):
        initialise(network, torch.Generator().manual_seed(3))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    layers = [m for m in first.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    deviations = []
    for layer in layers:
        assert layer.bias is None or (layer.bias == 0).all()
        fans = (layer.weight.shape[0] + layer.weight.shape[1]) * layer.weight[0, 0].numel()
        bound = (6 / fans) ** 0.5
        assert layer.weight.abs().max() <= bound
        deviations.append(layer.weight.flatten() / bound)
    assert torch.cat(deviations).std().item() == pytest.approx(3**-0.5, rel=0.05)  # uniform in [-1, 1]
    for norm in first.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert (norm.weight == 1).all()
            assert (norm.bias == 0).all()
