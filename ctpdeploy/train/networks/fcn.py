"""FCN-8s: fully convolutional network with two skip connections (Long et al., 2015), a row of table 3.

The encoder is VGG16's: 13 3x3 convolutions with bias and ReLU in five groups of ``width * (1, 2, 4, 8, 8)`` channels,
each ending in 2x2 max pooling, without normalisation. With x1 to x5 the outputs of the groups, at 1/2 to 1/32 of the
resolution, d1 to d5 3x3 transposed convolutions of stride 2, bn batch normalisation and R the ReLU::

    s = bn1(R(d1(x5)) + x4)        s = bn2(R(d2(s)) + x3)        s = bnk(R(dk(s))), k = 3, 4, 5

and a 1x1 convolution makes the logits. With 4 inputs, 2 classes and width 64 that makes 18,644,322 parameters, the
18.64 M of table 3. Nothing is pre-trained: the source initialises all networks alike (section 4.1).
"""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.slice_size import check_multiple

__all__ = ["FCN"]


class FCN(nn.Module):
    """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, linear at the end.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first group; even.

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
        levels = [width * factor for factor in (1, 2, 4, 8, 8)]
        sizes = zip(pairwise([in_channels, *levels]), (2, 2, 3, 3, 3), strict=True)
        self.encoder = nn.ModuleList(_group(c, d, convolutions) for (c, d), convolutions in sizes)
        rising = [*reversed(levels), width // 2]
        self.up = nn.ModuleList(_double(c, d) for c, d in pairwise(rising))
        self.norm = nn.ModuleList(BatchNorm2d(channels) for channels in rising[1:])
        self.head = nn.Conv2d(width // 2, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Raises:
            InputError: rows or columns are no multiples of ``stride``.
        """
        check_multiple(x, self.stride)
        outputs: list[Tensor] = []
        for group in self.encoder:
            x = group(x)
            outputs.append(x)
        skips = {0: outputs[3], 1: outputs[2]}
        for stage, (up, norm) in enumerate(zip(self.up, self.norm, strict=True)):
            x = up(x).relu()
            x = norm(x + skips[stage] if stage in skips else x)
        return self.head(x)


def _group(in_channels: int, out_channels: int, convolutions: int) -> nn.Sequential:
    """3x3 convolutions with ReLU, then pooling."""
    layers: list[nn.Module] = []
    for channels in (in_channels, *[out_channels] * (convolutions - 1)):
        layers += [nn.Conv2d(channels, out_channels, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1)
