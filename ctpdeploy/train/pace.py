"""The pace of a step: what changes from one step of a stage to the next."""

import math
from dataclasses import dataclass

from ctpdeploy.train.settings import OptimiserConfig, TrainConfig

__all__ = ["Pace", "learning_rate"]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The pace of a step.

    Attributes:
        learning_rate: of the optimiser.
        synthesis: share of alpha and beta with which L_g and L_e enter the loss.
    """

    learning_rate: float
    synthesis: float = 1.0

    @classmethod
    def of(cls, config: TrainConfig, step: int, steps: int) -> "Pace":
        """The pace of a step, counted from 0, of all of a stage; the share falls evenly."""
        return cls(
            learning_rate=learning_rate(config.optimiser, step, steps),
            synthesis=1 + (config.loss.anneal - 1) * step / max(steps - 1, 1),
        )


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
