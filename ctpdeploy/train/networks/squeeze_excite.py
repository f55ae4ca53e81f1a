"""Squeeze-and-Excitation (Hu et al., 2018): channels weighted by what the whole slice holds.

The source gives no reduction ratio; 1 is the only uniform one that yields the 33.84 M parameters of table 3.
"""

from torch import Tensor, nn

__all__ = ["SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """Multiplies each channel of ``(N, C, H, W)`` by a weight in (0, 1) from all channel means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels; keeps shape and dtype."""
        squeezed = x.mean(dim=(2, 3))
        weight = self.fc2(self.relu(self.fc1(squeezed))).sigmoid()
        return x * weight[..., None, None]
