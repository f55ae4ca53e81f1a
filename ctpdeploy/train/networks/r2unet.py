"""R2UNet: recurrent residual UNet (Alom et al., 2018), a row of table 3.

With f a 3x3 convolution with bias, batch normalisation and ReLU, a recurrent convolution applies one and the same f
``steps + 1`` times, and a block is residual::

    RCL(x):    y = f(x), then ``steps`` times y = f(x + y)
    block(x):  x0 + RCL2(RCL1(x0)) with x0 a 1x1 convolution of x, with bias

Five levels of ``width * (1, 2, 4, 8, 16)`` channels, 2x2 max pooling down, nearest doubling and an f up, the skip
connection first in the concatenation, a linear 1x1 head. With 4 inputs, 2 classes and width 64 that makes 39,091,522
parameters, the 39.09 M of table 3, for any number of steps. The running averages of f move at each application.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.unet import UShape

__all__ = ["R2UNet"]


class RecurrentConv(nn.Module):
    """RCL, the recurrent convolution: keeps the shape."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.unit = _unit(channels, channels)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        """Apply the same unit over and over to the sum of the input and its last output."""
        y = self.unit(x)
        for _ in range(self.steps):
            y = self.unit(x + y)
        return y


class RecurrentBlock(nn.Module):
    """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``: a residual of two recurrent convolutions."""

    def __init__(self, in_channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.residual = nn.Sequential(RecurrentConv(out_channels, steps), RecurrentConv(out_channels, steps))

    def forward(self, x: Tensor) -> Tensor:
        """Project, and add the residual."""
        projected = self.project(x)
        return projected + self.residual(projected)


class R2UNet(UShape):
    """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, linear at the end.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first level.
        steps: how often a recurrent convolution comes back to itself.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, steps: int = 2) -> None:
        super().__init__(in_channels, out_channels, width, block=partial(RecurrentBlock, steps=steps), up=_enlarging)
        self.arguments |= {"steps": steps}


def _enlarging(in_channels: int, out_channels: int) -> nn.Sequential:
    """Nearest doubling, then f, whose layers keep the names that they have in checkpoints."""
    enlarge = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(OrderedDict([("enlarge", enlarge), *_unit(in_channels, out_channels).named_children()]))


def _unit(in_channels: int, out_channels: int) -> nn.Sequential:
    """f: 3x3 convolution, batch normalisation and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
    return nn.Sequential(conv, BatchNorm2d(out_channels), nn.ReLU(inplace=True))
