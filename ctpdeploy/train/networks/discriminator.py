"""The multi-scale discriminator of the GAN rows of table 1 (Wang et al., 2018; Isola et al., 2017).

The same design judges patches at full, half and quarter resolution, each scale with weights of its own: 4x4
convolutions with bias and padding 2 to ``width * (1, 2, 4, 8)`` channels and then to one judgement a patch. The first
three have stride 2; all but the first and the last are followed by instance normalisation without affine, all but the
last by a leaky ReLU of slope 0.2. There is no sigmoid: the loss is that of least squares (Mao et al., 2017).
With 5 inputs, the DWI and the four maps it belongs to, and width 64 a scale has 2,766,785 parameters.
Only training uses this network.
"""

from itertools import pairwise

from torch import Tensor, nn

__all__ = ["Discriminator"]


class Discriminator(nn.Module):
    """Judges images ``(N, in_channels, H, W)``: 1 is real, 0 is made.

    Args:
        in_channels: channels of the input.
        width: channels of the first convolution.
        scales: how many resolutions are judged, each half of the one before.
    """

    def __init__(self, in_channels: int, width: int = 64, scales: int = 3) -> None:
        super().__init__()
        self.arguments: dict[str, int | float] = {"in_channels": in_channels, "width": width, "scales": scales}
        self.scales = nn.ModuleList(_patch_judge(in_channels, width) for _ in range(scales))
        self.pool = nn.AvgPool2d(kernel_size=3, stride=2, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of judgements ``(N, 1, h, w)``, the finest scale first."""
        judgements: list[Tensor] = []
        for level, judge in enumerate(self.scales):
            x = self.pool(x) if level else x
            judgements.append(judge(x))
        return judgements


def _patch_judge(in_channels: int, width: int) -> nn.Sequential:
    """The discriminator of one scale."""
    levels = [width, 2 * width, 4 * width, 8 * width]
    layers: list[nn.Module] = [_conv(in_channels, width, stride=2), nn.LeakyReLU(0.2, inplace=True)]
    for (c, d), stride in zip(pairwise(levels), (2, 2, 1), strict=True):
        layers += [_conv(c, d, stride), nn.InstanceNorm2d(d), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, _conv(levels[-1], 1, stride=1))


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=stride, padding=2)
