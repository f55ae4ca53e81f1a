"""Switchable Normalization (Luo et al., 2018), which SLNet uses in place of batch normalisation.

With the mean m and variance v of each slice n and channel c over its pixels::

    mu_in = m               v_in = v
    mu_ln = mean_c m        v_ln = mean_c v + mean_c (m - mu_ln)^2
    mu_bn = mean_n m        v_bn = mean_n v + mean_n (m - mu_bn)^2
    w = softmax(mean_weight)    u = softmax(var_weight)        in the order IN, LN, BN
    y = weight (x - sum_k w_k mu_k) / sqrt(sum_k u_k v_k + eps) + bias

These forms of v_ln and v_bn are sums of squares: unlike E[x^2] - E[x]^2 they cannot turn negative by rounding.
In evaluation mu_bn and v_bn are running averages. They begin at zero and are therefore divided by 1 - momentum^k
after k steps, else the first epochs would be judged on statistics that are too small; the authors' code does not.
"""

import math

import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.batch_norm import pool_slices

__all__ = ["SwitchNorm2d"]


class SwitchNorm2d(nn.Module):
    """Normalises ``(N, C, H, W)``; statistics are float32, or float64 for float64 input.

    Args:
        channels: C.
        eps: added to the mixed variance.
        momentum: weight of the old value in the running averages, in (0, 1); PyTorch's is one minus this.
        debias: divide the running averages by 1 - momentum^k; without, they count as they are, from 0 on.
        unbiased: divide v by HW - 1 rather than HW, as the authors of the method do.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.997,
        debias: bool = True,
        unbiased: bool = False,
    ) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.debias = debias
        self.unbiased = unbiased
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.mean_weight = nn.Parameter(torch.empty(3))
        self.var_weight = nn.Parameter(torch.empty(3))
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, the three normalisers mixed in equal parts, nothing tracked."""
        for parameter in (self.weight, self.mean_weight, self.var_weight):
            nn.init.ones_(parameter)
        for tensor in (self.bias, self.running_mean, self.running_var, self.num_batches_tracked):
            nn.init.zeros_(tensor)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a batch, and track its statistics while training; keeps shape and dtype.

        In a process group mu_bn and v_bn are those of the slices of all processes while training.
        """
        wide = x if x.dtype is torch.float64 else x.float()
        var, mean = torch.var_mean(wide, dim=(2, 3), correction=int(self.unbiased))
        mean_ln = mean.mean(dim=1, keepdim=True)
        var_ln = (var + (mean - mean_ln).square()).mean(dim=1, keepdim=True)
        mean_bn, var_bn = self._batch_statistics(mean, var)
        w, u = self.mixes()
        mean = w[0] * mean + w[1] * mean_ln + w[2] * mean_bn
        var = u[0] * var + u[1] * var_ln + u[2] * var_bn
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - scale * mean
        return torch.addcmul(shift[..., None, None], wide, scale[..., None, None]).to(x.dtype)

    def mixes(self) -> tuple[Tensor, Tensor]:
        """The weights of IN, LN and BN in the mean and in the variance, each ``(3,)`` with sum 1."""
        return self.mean_weight.softmax(0), self.var_weight.softmax(0)

    def running_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and variance ``(C,)`` that stand for the batch in evaluation; debiased, 0 and 1 before any step."""
        if not self.debias:
            return self.running_mean, self.running_var
        steps = self.num_batches_tracked.to(self.running_mean.dtype)
        # 1 - momentum^k, without cancellation for small k; at least its value after one step
        share = -torch.expm1(steps.clamp(min=1) * math.log(self.momentum))
        return self.running_mean / share, torch.where(steps > 0, self.running_var / share, 1.0)

    def _batch_statistics(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.running_statistics()
        mean_bn, var_bn, _ = pool_slices(mean, var)
        with torch.no_grad():
            self.running_mean.lerp_(mean_bn.to(self.running_mean.dtype), 1 - self.momentum)
            self.running_var.lerp_(var_bn.to(self.running_var.dtype), 1 - self.momentum)
            self.num_batches_tracked += 1
        return mean_bn, var_bn
