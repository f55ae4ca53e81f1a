"""What a training run tells of itself while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["OnProgress", "ProgressEvent"]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """One step forward.

    Attributes:
        stage: ``"reading"`` a case, ``"training"`` a mini-batch, or ``"validation"`` at the end of an epoch.
        step: steps of this stage that are done, from 1.
        steps: how many there are.
        epoch: epoch under way, from 1, counted through all stages of the system; 0 while reading.
        epochs: how many there are.
        learns: the networks that learn, in words.
        loss: total loss of the mini-batch; None while reading and at validation.
        dice: mean validation Dice; None before validation, and where no network yet draws a lesion.
    """

    stage: Literal["reading", "training", "validation"]
    step: int = 1
    steps: int = 1
    epoch: int = 0
    epochs: int
    learns: str = ""
    loss: float | None = None
    dice: float | None = None


OnProgress = Callable[[ProgressEvent], None]
"""Called after each step, in the thread that trains; an exception from it stops the run, which can be resumed."""
