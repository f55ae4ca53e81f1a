"""Sums over the mini-batch where several processes hold a part of it each.

Losses and statistics of a batch add up before they divide, so W processes have the values of one process with the
whole batch: with s_r the sum of process r, all of them compute the same L = f(s_1 + ... + s_W). Backward, the sum over
processes is again a sum over processes, of the gradients that arrive::

    process r:   sum_q dL_q/ds_r = W dL/ds_r    and so   g_r = W dL/ds_r ds_r/dtheta
    mean of g:   sum_r dL/ds_r ds_r/dtheta = dL/dtheta

which is what ``torch.nn.parallel.DistributedDataParallel``, averaging gradients, then applies. A loss must not be
divided by W anywhere. Every process of the group has to make the same calls in the same order, forward and backward.
Without a process group nothing is communicated.
"""

from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["batch_mean", "batch_sum", "in_group"]


def in_group() -> bool:
    """Whether there is a process group, of one process or more."""
    return distributed.is_available() and distributed.is_initialized()


def batch_sum(x: Tensor) -> Tensor:
    """The sum of ``x`` over all processes, elementwise and differentiable; ``x`` itself without a process group."""
    return _AllReduce.apply(x) if in_group() else x  # type: ignore[no-untyped-call]


def batch_mean(x: Tensor) -> Tensor:
    """The mean of all elements of ``x`` of all processes, however many each has; a scalar."""
    total, count = batch_sum(torch.stack([x.sum(), x.new_full((), x.numel())])).unbind()
    return total / count


class _AllReduce(torch.autograd.Function):
    """The sum over processes. PyTorch's own is deprecated in one place and private in the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401, ARG004  the signature of the base class
        total = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004  likewise
        return batch_sum(gradient)
