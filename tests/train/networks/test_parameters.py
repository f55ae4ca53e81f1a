from collections.abc import Callable

import pytest
import torch
from torch import nn

from ctpdeploy.errors import InputError
from ctpdeploy.train.networks import ContextEncoder, SLNet, UNet, initialise

COUNTS = [  # table 3 prints the first four as 31.04, 33.84, 31.04 and 33.84 million
    (lambda: UNet(4, 2), 31_044_162),
    (lambda: SLNet(4, 2), 33_841_710),
    (lambda: SLNet(4, 2, squeeze_excite=False), 31_044_270),
    (lambda: SLNet(4, 2, switch_norm=False), 33_841_602),
    (lambda: UNet(6, 1), 31_045_249),
    (lambda: SLNet(1, 2), 33_839_982),
    (ContextEncoder, 115_600),
]


@pytest.mark.parametrize(("make", "count"), COUNTS)
def test_parameter_count(make: Callable[[], nn.Module], count: int) -> None:
    with torch.device("meta"):
        network = make()
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(("make", "shape", "out"), [(lambda: UNet(6, 1, 4), 6, 1), (lambda: SLNet(1, 2, 4), 1, 2)])
def test_output_has_the_shape_of_the_input(make: Callable[[], nn.Module], shape: int, out: int) -> None:
    assert make()(torch.rand(2, shape, 48, 32)).shape == (2, out, 48, 32)


def test_context_encoder_gives_sixteen_numbers_at_any_size() -> None:
    for size in (32, 128, 256):
        assert ContextEncoder()(torch.rand(3, 1, size, size)).shape == (3, 16)


def test_slice_that_is_no_multiple_of_16_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 16, not 32x40"):
        UNet(1, 1, 4)(torch.rand(1, 1, 32, 40))


def test_squeeze_excite_ends_every_encoder_block_before_skip_and_pool() -> None:
    network = SLNet(1, 2, 4)
    assert all(list(dict(block.named_children()))[-1] == "squeeze_excite" for block in network.encoder)


def test_initialise_is_xavier_and_depends_on_the_generator_alone() -> None:
    first, second = SLNet(1, 2, 8), SLNet(1, 2, 8)
    for network in (first, second):
        initialise(network, torch.Generator().manual_seed(3))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    conv = first.encoder[1].conv1
    bound = (6 / (9 * (conv.in_channels + conv.out_channels))) ** 0.5
    assert conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert all((m.bias == 0).all() for m in first.modules() if isinstance(m, nn.Conv2d))
