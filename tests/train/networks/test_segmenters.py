from typing import get_args

import pytest
from torch import nn

from ctpdeploy.paper.systems import SegmenterName
from ctpdeploy.train.networks import SLNet, SqueezeExcite, SwitchNorm2d
from ctpdeploy.train.networks.segmenters import SEGMENTERS, make_segmenter


def test_there_is_one_for_every_name_that_a_system_may_say() -> None:
    assert tuple(SEGMENTERS) == get_args(SegmenterName)


@pytest.mark.parametrize(
    ("name", "squeeze_excites", "switch_norms", "batch_norms"),
    [("unet", 0, 0, 18), ("slnet", 5, 18, 0), ("slnet_no_se", 0, 18, 0), ("slnet_no_sn", 5, 0, 18)],
)
def test_slnet_is_a_unet_with_parts_that_can_be_left_out(
    name: SegmenterName, squeeze_excites: int, switch_norms: int, batch_norms: int
) -> None:
    layers = list(make_segmenter(name, 4, width=2, sn_momentum=0.9, sn_debias=True).modules())
    assert sum(isinstance(layer, SqueezeExcite) for layer in layers) == squeeze_excites
    assert sum(isinstance(layer, SwitchNorm2d) for layer in layers) == switch_norms
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == batch_norms


@pytest.mark.parametrize("debias", [False, True])
def test_settings_reach_every_switchable_normalization(debias: bool) -> None:
    network = make_segmenter("slnet", 4, width=2, sn_momentum=0.75, sn_debias=debias)
    norms = [layer for layer in network.modules() if isinstance(layer, SwitchNorm2d)]
    assert {(norm.momentum, norm.debias) for norm in norms} == {(0.75, debias)}
    assert network.arguments["debias"] is debias


def test_squeeze_excite_ends_every_encoder_block_before_skip_and_pool() -> None:
    network = SLNet(1, 2, 4)
    assert all(list(dict(block.named_children()))[-1] == "squeeze_excite" for block in network.encoder)
