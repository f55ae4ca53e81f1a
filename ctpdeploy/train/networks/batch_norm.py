"""Batch statistics over all processes that hold a part of the batch.

With the mean m_n and variance v_n of each of N slices over its pixels, those of all pixels are::

    m = mean_n m_n        v = mean_n (v_n + (m_n - m)^2)

a sum of squares, which unlike E[x^2] - E[x]^2 cannot turn negative by rounding. Only N and two sums over slices need to
travel between processes.
"""

import torch
from torch import Tensor, nn

from ctpdeploy.train.all_reduce import batch_sum, in_group

__all__ = ["BatchNorm2d", "pool_slices"]

MOMENTUM = 0.1
"""Weight of the new value in the running averages, as PyTorch counts it."""


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that, while training in a process group, normalises by the batch of all processes.

    Otherwise it is PyTorch's own, whose ``SyncBatchNorm`` does not run on the CPU.

    Args:
        channels: C.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)``; keeps shape and dtype."""
        if not (self.training and in_group()):
            return super().forward(x)
        wide = x if x.dtype is torch.float64 else x.float()
        var, mean = torch.var_mean(wide, dim=(2, 3), correction=0)
        mean, var, slices = pool_slices(mean, var)
        self._track(mean, var, slices * x.shape[2] * x.shape[3])
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - scale * mean
        return torch.addcmul(shift[:, None, None], wide, scale[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, pixels: Tensor) -> None:
        """Move the running averages, that of the variance by its unbiased estimate."""
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), MOMENTUM)
        self.running_var.lerp_((var * pixels / (pixels - 1)).to(self.running_var.dtype), MOMENTUM)
        self.num_batches_tracked += 1


def pool_slices(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance over the pixels of all slices of all processes, and how many slices those are.

    Args:
        mean: m_n of the slices of this process, ``(N, C)``.
        var: v_n, ``(N, C)``.

    Returns:
        m and v, ``(C,)``, and the number of slices, a scalar.
    """
    sums = batch_sum(torch.cat([mean.sum(dim=0), mean.new_full((1,), len(mean))]))
    slices = sums[-1]
    pooled = sums[:-1] / slices
    return pooled, batch_sum((var + (mean - pooled).square()).sum(dim=0)) / slices, slices
