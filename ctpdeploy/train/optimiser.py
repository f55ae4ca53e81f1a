"""The optimiser of a stage, and the moving average of the weights."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ctpdeploy.train.settings import OptimiserConfig

__all__ = ["averaged", "make_optimiser"]


def make_optimiser(parameters: Iterable[nn.Parameter], config: OptimiserConfig) -> torch.optim.Optimizer:
    """RMSprop, or AdamW, whose decay leaves biases and what scales or shifts a channel alone.

    Args:
        parameters: that learn.
        config: of the run.
    """
    parameters = list(parameters)
    if config.name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=config.learning_rate, alpha=0.99, eps=1e-8)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate)


def averaged(chain: nn.Module, decay: float) -> AveragedModel:
    """A copy of a chain whose weights follow those of the chain as an exponential moving average.

    Its first steps weigh more, ``(1 + n) / (10 + n)`` in the place of the decay, so that the initial weights do not
    stay in it; running statistics are those of the chain.

    Args:
        chain: that learns.
        decay: weight of the old value.
    """
    return AveragedModel(chain, avg_fn=partial(_moved, decay))


def _moved(decay: float, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    count = int(count)
    return torch.lerp(current, average, min(decay, (1 + count) / (10 + count)))
