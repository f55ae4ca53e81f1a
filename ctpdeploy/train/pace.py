"""The pace of a step: what changes from one step of a stage to the next."""

import math
from dataclasses import dataclass

from ctpdeploy.train.settings import OptimiserConfig, TrainConfig

__all__ = ["Pace", "learning_rate", "lengthened"]


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


def lengthened(begun: TrainConfig, config: TrainConfig, done: int) -> str:
    """A sentence on the pace of a run that gets more epochs.

    It is that of the new length from where that stands, as if the run had been begun with it: a cosine that had come to
    its end rises again by a step and falls anew.

    Args:
        begun: what the run was begun with.
        config: what it goes on with.
        done: epochs of its last stage.
    """
    before, now = (learning_rate(c.optimiser, done, max(c.epochs, done)) for c in (begun, config))
    return (
        f"The run has {config.epochs} epochs now and not {begun.epochs}: after {done} of them its learning rate goes "
        f"on from {now:.2g}, where {config.epochs} epochs stand then, instead of {before:.2g}."
    )
