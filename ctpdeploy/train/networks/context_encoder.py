"""The context encoder Phi_c, which compares two images by 16 numbers each (figure 4 of the source).

The source states five 3x3 convolutions of stride 2, two adaptive average poolings and 16 outputs; the channels stand
only in its figure. Here they are 16, 32, 64, 128 and 16: one pooling to 8x8 makes the last convolution independent of
the size of the image, the other one pools its 16 channels. Only training uses this network.
"""

from itertools import pairwise

from torch import nn

__all__ = ["ContextEncoder"]


class ContextEncoder(nn.Sequential):
    """Maps images ``(N, 1, H, W)`` to ``(N, 16)``, linear at the end; 115,600 parameters."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise((1, 16, 32, 64, 128)):
            layers += [_conv(in_channels, out_channels), nn.ReLU(inplace=True)]
        layers += [nn.AdaptiveAvgPool2d(8), _conv(128, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers)
        self.arguments: dict[str, int | float] = {}


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1)
