"""The scores of a run in a reproduction: of its test cases, or of all cases, each from the fold that tested it.

::

    OUT/SYSTEM/seed-0/evaluation/            of a run
    OUT/SYSTEM/seed-0/fold-1/evaluation/     of a cross-validated one, and so on
"""

import json
from pathlib import Path
from typing import Any

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.case_score import CaseScore
from ctpdeploy.runtime.cohort.evaluation import SCORES, SUMMARY

__all__ = ["EVALUATION", "fold_folders", "read_scores", "read_summary"]

EVALUATION = "evaluation"


def fold_folders(folder: Path, folds: int) -> list[Path]:
    """The run folders behind a system and a seed: its own, or one for each fold."""
    return [folder / f"fold-{number}" for number in range(1, folds + 1)] or [folder]


def read_summary(run: Path) -> dict[str, Any] | None:
    """Summary of the evaluation of a run; None if it is not evaluated yet, not in all cases, or in known ones."""
    file = run / EVALUATION / SUMMARY
    summary = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return None if summary is None or summary.get("refused") or summary.get("known") else summary


def read_scores(folder: Path, folds: int) -> tuple[CaseScore, ...] | None:
    """Scores of a system and a seed, folds one after the other; None as long as a run of them is not evaluated.

    Raises:
        InputError: they cannot be read.
    """
    runs = fold_folders(folder, folds)
    if any(read_summary(run) is None for run in runs):
        return None
    try:
        written = [json.loads((run / EVALUATION / SCORES).read_text(encoding="utf-8")) for run in runs]
        return tuple(CaseScore.from_json(score) for scores in written for score in scores)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"The scores in {folder} cannot be read ({error!r}): remove the folder and have it made again."
        ) from error
