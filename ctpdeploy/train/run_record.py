"""The record of a run beside its networks, read without torch: the model card, and the threshold of a checkpoint.

::

    card.json                               the share of the card that the data make, written when the run begins
    checkpoints/best/state.json             the epoch, and its validation Dice
    checkpoints/best/calibration.json       the threshold, once the run is at its end
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["CALIBRATION", "CARD", "RunRecord"]

CARD: Final = "card.json"
CALIBRATION: Final = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run has recorded of a checkpoint.

    Attributes:
        card: with the checkpoint's validation; ``unknown`` where the run was begun before there was one.
        threshold: probability above which its networks draw lesion; 0.5 before the run is at its end.
    """

    card: ModelCard
    threshold: float

    @classmethod
    def of(cls, run: Path, checkpoint: str = "best") -> "RunRecord":
        """Read it.

        Raises:
            InputError: a file is damaged.
        """
        folder = run / "checkpoints" / checkpoint
        card = ModelCard(**_read(run / CARD))
        if found := _read(folder / CALIBRATION):
            card = replace(card, validation_dice=found["dice"], threshold_from=found["cases"])
            return cls(card=card, threshold=found["threshold"])
        if found := _read(folder / "state.json"):
            score = found["best_score"]  # under 0 of a stage that draws no lesions: it is that of a loss
            card = replace(card, validation_dice=score if score >= 0 else None)
        return cls(card=card, threshold=PreprocessConfig.threshold)


def _read(file: Path) -> Mapping[str, Any]:
    """The object in a file; an empty one where there is no file."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error}): copy the run again, or train again.") from error
