"""Every network at width 4."""

from collections.abc import Callable

from torch import nn

from ctpdeploy.paper.systems import SegmenterName
from ctpdeploy.train.networks import ContextEncoder
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.networks.segmenters import SEGMENTERS, make_segmenter


def small(name: SegmenterName) -> nn.Module:
    return make_segmenter(name, 3, width=4, sn_momentum=0.9, sn_debias=True)


SMALL: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: small(name) for name in SEGMENTERS},
    "context_encoder": ContextEncoder,
    "discriminator": lambda: Discriminator(3, 4),
}
"""Every network, for three channels if it can choose."""
