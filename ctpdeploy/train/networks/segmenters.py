"""The networks that can draw the lesion, by the names the systems call them (table 3)."""

from collections.abc import Callable

from ctpdeploy.paper.systems import SegmenterName
from ctpdeploy.train.networks.fcn import FCN
from ctpdeploy.train.networks.r2unet import R2UNet
from ctpdeploy.train.networks.resunet import ResUNet
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.unet import UNet

__all__ = ["SEGMENTERS", "Segmenter", "make_segmenter"]

CLASSES = 2
"""Background and lesion."""

Segmenter = UNet | FCN | R2UNet | ResUNet
"""Any of the networks; SLNet is a UNet."""

Factory = Callable[[int, int, float, bool], Segmenter]
"""Makes one from input channels, width, and momentum and debias of Switchable Normalization."""


def _plain(kind: type[UNet] | type[FCN] | type[R2UNet] | type[ResUNet]) -> Factory:
    return lambda in_channels, width, _momentum, _debias: kind(in_channels, CLASSES, width)


def _slnet(*, squeeze_excite: bool = True, switch_norm: bool = True) -> Factory:
    return lambda in_channels, width, momentum, debias: SLNet(
        in_channels,
        CLASSES,
        width,
        squeeze_excite=squeeze_excite,
        switch_norm=switch_norm,
        momentum=momentum,
        debias=debias,
    )


SEGMENTERS: dict[SegmenterName, Factory] = {
    "fcn": _plain(FCN),
    "unet": _plain(UNet),
    "r2unet": _plain(R2UNet),
    "resunet": _plain(ResUNet),
    "slnet": _slnet(),
    "slnet_no_se": _slnet(squeeze_excite=False),
    "slnet_no_sn": _slnet(switch_norm=False),
}


def make_segmenter(
    name: SegmenterName, in_channels: int, *, width: int, sn_momentum: float, sn_debias: bool
) -> Segmenter:
    """A segmenter of two classes, its weights still PyTorch's own.

    Args:
        name: which one.
        in_channels: channels of its input.
        width: channels of its first level.
        sn_momentum: weight of the old value in the running averages of Switchable Normalization, where there is any.
        sn_debias: divide these by what they still lack of their start at zero.
    """
    return SEGMENTERS[name](in_channels, width, sn_momentum, sn_debias)
