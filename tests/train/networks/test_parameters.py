"""Sizes of the networks, and what holds for all of them."""

from collections.abc import Callable

import pytest
import torch
from support.torch_networks import SMALL, small
from torch import nn

from ctpdeploy.paper.systems import SegmenterName
from ctpdeploy.train.networks import ContextEncoder, SLNet, UNet, initialise
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.networks.segmenters import SEGMENTERS, make_segmenter

TABLE_3 = {  # what the table prints, in millions, and to the last parameter
    "fcn": ("18.64", 18_644_322),
    "unet": ("31.04", 31_044_162),
    "r2unet": ("39.09", 39_091_522),
    "resunet": ("81.91", 81_911_042),
    "slnet": ("33.84", 33_841_710),
    "slnet_no_se": ("31.04", 31_044_270),
    "slnet_no_sn": ("33.84", 33_841_602),
}


OTHERS = [
    (lambda: UNet(6, 1), 31_045_249),
    (lambda: SLNet(1, 2), 33_839_982),
    (ContextEncoder, 115_600),
    (lambda: Discriminator(5, scales=1), 2_766_785),
    (lambda: Discriminator(5), 3 * 2_766_785),
]


def parameters(make: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make().parameters())


@pytest.mark.parametrize("name", TABLE_3)
def test_parameter_count_of_table_3(name: SegmenterName) -> None:
    printed, exact = TABLE_3[name]
    count = parameters(lambda: make_segmenter(name, 4, width=64, sn_momentum=0.9, sn_debias=True))
    assert count == exact
    assert f"{count / 1e6:.2f}" == printed


@pytest.mark.parametrize(("make", "count"), OTHERS)
def test_parameter_count(make: Callable[[], nn.Module], count: int) -> None:
    assert parameters(make) == count


@pytest.mark.parametrize("name", SEGMENTERS)
def test_logits_have_the_shape_of_the_input(name: SegmenterName) -> None:
    network = small(name)
    assert network(torch.rand(2, 3, 64, 32)).shape == (2, 2, 64, 32)
    assert network.eval()(torch.rand(1, 3, 32, 96)).shape == (1, 2, 32, 96)


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = SMALL[name]()
    initialise(network, torch.Generator().manual_seed(0))
    outputs = network(torch.rand(2, 1 if name == "context_encoder" else 3, 64, 64))
    sum((output**3).sum() for output in (outputs if isinstance(outputs, list) else [outputs])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key
