"""Progress of a training run: events, and the callbacks that receive them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["OnProgress", "ProgressEvent"]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """One step forward.

    Attributes:
        stage: ``"finding"`` all cases, ``"reading"`` one, ``"training"`` a mini-batch, or ``"validation"``, which ends
            an epoch.
        step: steps of this stage that are done, from 1.
        steps: how many there are.
        epoch: epoch under way, from 1, counted through all stages of the system; 0 before the first.
        epochs: how many there are.
        learns: the networks that learn, in words.
        loss: total loss of the mini-batch; None but in training.
        dice: mean validation Dice; None before validation, and where no network yet draws a lesion.
        warnings: assumptions on the cases found, one sentence each; with ``"finding"``, before anything long.
    """

    stage: Literal["finding", "reading", "training", "validation"]
    step: int = 1
    steps: int = 1
    epoch: int = 0
    epochs: int
    learns: str = ""
    loss: float | None = None
    dice: float | None = None
    warnings: tuple[str, ...] = ()


OnProgress = Callable[[ProgressEvent], None]
"""Called after each step, in the thread that trains; an exception from it stops the run, which can be resumed."""
