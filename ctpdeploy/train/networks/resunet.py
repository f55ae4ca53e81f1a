"""ResUNet: a UNet on a residual encoder, for the row of that name in table 3.

The source cites Xiao et al. (2018) and prints 81.91 M parameters. The authors' code is not public, and no plain
residual UNet of 64 to 1024 channels has that many. This design is derived: of those found to match the printed digits
it is the simplest. It stands in for the row and is no reproduction of the authors' network.

The encoder is ResNet-50 (He et al., 2016): a 7x7 convolution of stride 2, 3x3 max pooling of stride 2, then 3, 4, 6
and 3 bottlenecks of ``width * (1, 2, 4, 8)`` inner channels and four times as many outer ones. A 3x3 convolution
stands in the centre. Five stages go up by 2x2 transposed convolution, concatenation with the skip connection where
there is one, and three 3x3 convolutions; the head is linear. Each convolution but the head's and the transposed ones
is without bias and followed by batch normalisation. With 4 inputs, 2 classes and width 64 that makes 81,911,042
parameters.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.slice_size import check_multiple

__all__ = ["ResUNet"]

BOTTLENECKS = (3, 4, 6, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    """Adds to its input, or a 1x1 projection of it, what 1x1, 3x3 and 1x1 convolutions make of it."""

    def __init__(self, in_channels: int, inner: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * inner
        self.residual = nn.Sequential(
            *_conv_norm(in_channels, inner, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(inner, inner, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(inner, out_channels, 1),  # whose ReLU follows the sum
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv_norm(in_channels, out_channels, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual."""
        return (self.shortcut(x) + self.residual(x)).relu()


class UpStage(nn.Module):
    """Doubles rows and columns, concatenates the skip connection if there is one, and refines."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
        self.refine = nn.Sequential(
            _unit(out_channels + skip_channels, out_channels, 3),
            _unit(out_channels, out_channels, 3),
            _unit(out_channels, out_channels, 3),
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Go up one level."""
        x = self.up(x)
        return self.refine(x if skip is None else torch.cat([skip, x], dim=1))


class ResUNet(nn.Module):
    """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, linear at the end.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first convolution.

    Attributes:
        stride: rows and columns of the input must be multiples of this.
    """

    stride: ClassVar[int] = 32

    def __init__(self, in_channels: int, out_channels: int, width: int = 64) -> None:
        super().__init__()
        self.arguments: dict[str, int | float] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
        }
        self.stem = _unit(in_channels, width, 7, stride=2)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        inner = [width * 2**level for level in range(len(BOTTLENECKS))]
        outer = [width, *(EXPANSION * channels for channels in inner)]
        self.encoder = nn.ModuleList(
            _stage(c, m, blocks, stride=2 if level else 1)
            for level, (c, m, blocks) in enumerate(zip(outer, inner, BOTTLENECKS, strict=False))
        )
        self.centre = _unit(outer[-1], outer[-1], 3)
        rising = pairwise([outer[-1], *reversed(inner), width])
        skips = [*reversed(outer[:-1]), 0]
        self.decoder = nn.ModuleList(UpStage(c, skip, d) for (c, d), skip in zip(rising, skips, strict=True))
        self.head = nn.Conv2d(width, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Raises:
            InputError: rows or columns are no multiples of ``stride``.
        """
        check_multiple(x, self.stride)
        x = self.stem(x)
        skips: list[Tensor | None] = [None, x]
        x = self.pool(x)
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        x = self.centre(x)
        for stage in self.decoder:
            x = stage(x, skips.pop())
        return self.head(x)


def _stage(in_channels: int, inner: int, blocks: int, stride: int) -> nn.Sequential:
    """Bottlenecks, of which the first takes the stride."""
    rest = (Bottleneck(EXPANSION * inner, inner, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(in_channels, inner, stride), *rest)


def _unit(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation and ReLU."""
    return nn.Sequential(*_conv_norm(in_channels, out_channels, kernel_size, stride), nn.ReLU(inplace=True))


def _conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> tuple[nn.Conv2d, BatchNorm2d]:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return conv, BatchNorm2d(out_channels)
