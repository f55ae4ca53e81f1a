"""UNet: the feature extractor Phi_e and the pseudo-DWI generator Phi_g (section 3.1 of the source).

Five levels of ``width * (1, 2, 4, 8, 16)`` channels. A block is two 3x3 convolutions with bias, each followed by
normalisation and ReLU; 2x2 max pooling goes down, a 2x2 transposed convolution with neither normalisation nor
activation goes up, and its output follows the skip connection in the concatenation. The 1x1 head is linear.
With 4 inputs, 2 outputs and width 64 that makes 31,044,162 parameters, the 31.04 M of table 3.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.slice_size import check_multiple

__all__ = ["STRIDE", "ConvBlock", "UNet", "UShape"]

LEVELS = 5

STRIDE = 2 ** (LEVELS - 1)
"""Rows and columns of the input must be multiples of this."""

NormFactory = Callable[[int], nn.Module]
"""Makes the normalisation of a number of channels."""

BlockFactory = Callable[[int, int], nn.Module]
"""Makes a part of the network from its input to its output channels."""


class ConvBlock(nn.Sequential):
    """Twice 3x3 convolution, normalisation and ReLU: ``conv1 norm1 relu1 conv2 norm2 relu2``."""

    def __init__(self, in_channels: int, out_channels: int, norm: NormFactory) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, channels in ((1, in_channels), (2, out_channels)):
            layers[f"conv{number}"] = nn.Conv2d(channels, out_channels, kernel_size=3, padding=1)
            layers[f"norm{number}"] = norm(out_channels)
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
        super().__init__(layers)


class UShape(nn.Module):
    """The common base of UNet and R2UNet: blocks down, and up again beside them.

    A block follows each level; max pooling halves the slice on the way down. On the way up the skip connection comes
    first in the concatenation, and a 1x1 convolution ends it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first level, doubled with each further one.
        block: makes the block from its input to its output channels.
        up: likewise what doubles rows and columns.

    Attributes:
        arguments: of the constructor, for the checkpoint.
        stride: rows and columns of the input must be multiples of this.
    """

    stride: ClassVar[int] = STRIDE

    def __init__(self, in_channels: int, out_channels: int, width: int, block: BlockFactory, up: BlockFactory) -> None:
        super().__init__()
        self.arguments: dict[str, int | float] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
        }
        levels = [width * 2**level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(block(c, d) for c, d in pairwise([in_channels, *levels]))
        self.pool = nn.MaxPool2d(2)
        rising = list(pairwise(reversed(levels)))
        self.up = nn.ModuleList(up(c, d) for c, d in rising)
        self.decoder = nn.ModuleList(block(c, d) for c, d in rising)
        self.head = nn.Conv2d(width, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Raises:
            InputError: rows or columns are no multiples of ``stride``.
        """
        check_multiple(x, self.stride)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


class UNet(UShape):
    """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, linear at the end.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first level.
        norm: makes a normalisation layer.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, norm: NormFactory = BatchNorm2d) -> None:
        up = partial(nn.ConvTranspose2d, kernel_size=2, stride=2)
        super().__init__(in_channels, out_channels, width, block=partial(ConvBlock, norm=norm), up=up)
