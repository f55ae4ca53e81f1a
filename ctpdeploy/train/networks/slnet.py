"""SLNet: the stroke lesion segmenter Phi_s (section 3.3 of the source).

A UNet with Switchable Normalization in place of batch normalisation, and Squeeze-and-Excitation at the end of each
of its five encoder blocks, before both the pooling and the skip connection. With 4 inputs, 2 classes and width 64
that makes 33,841,710 parameters, the 33.84 M of table 3.
"""

from functools import partial

from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.squeeze_excite import SqueezeExcite
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d
from ctpdeploy.train.networks.unet import UNet

__all__ = ["SLNet"]


class SLNet(UNet):
    """Maps ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

    Args:
        in_channels: channels of the input.
        out_channels: number of classes.
        width: channels of the first level.
        squeeze_excite: calibrate channels; without it "SLNet (w/o SE)" of table 3.
        switch_norm: Switchable rather than batch normalisation; without it "SLNet (w/o SN)".
        momentum: weight of the old value in the running averages of Switchable Normalization.
        debias: divide these by what they still lack of their start at zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        *,
        squeeze_excite: bool = True,
        switch_norm: bool = True,
        momentum: float = 0.997,
        debias: bool = True,
    ) -> None:
        norm = partial(SwitchNorm2d, momentum=momentum, debias=debias) if switch_norm else BatchNorm2d
        super().__init__(in_channels, out_channels, width, norm)
        self.arguments |= {
            "squeeze_excite": squeeze_excite,
            "switch_norm": switch_norm,
            "momentum": momentum,
            "debias": debias,
        }
        if squeeze_excite:
            for level, block in enumerate(self.encoder):
                block.add_module("squeeze_excite", SqueezeExcite(width * 2**level))
