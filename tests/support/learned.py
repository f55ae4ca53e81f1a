"""Runs of a step or two, said to have learned: what they are exported for is not their Dice."""

import json
from pathlib import Path
from typing import Any


def as_if_learned(run: Path, **calibration: Any) -> None:
    """Give a run that is at its end a validation Dice of 0.5, at a threshold of 0.5."""
    file = run / "checkpoints" / "best" / "calibration.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "dice": 0.5, "threshold": 0.5, **calibration}))
