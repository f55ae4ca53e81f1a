"""The optimiser of a stage, its learning rate from step to step, and the moving average of the weights."""

import math
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ctpdeploy.train.settings import OptimiserConfig

__all__ = ["averaged", "learning_rate", "make_optimiser"]


def learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """The learning rate of a step.

    It rises linearly over the warm-up and then is, with ``t`` the share of the steps after it that are done::

        step        learning_rate, and drop_factor of it once drop_after of all steps are done
        one_cycle   learning_rate (1 + cos(pi t)) / 2

    Args:
        config: of the run.
        step: counted from 0 over all epochs of the stage.
        steps: of the stage.
    """
    rising = config.warm_up * steps
    if step < rising:
        return config.learning_rate * min((step + 1) / rising, 1.0)
    if config.schedule == "one_cycle":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
    return config.learning_rate * (config.drop_factor if step >= config.drop_after * steps else 1.0)


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
