"""The runs in a reproduction folder that are trained and evaluated."""

import json
from dataclasses import dataclass
from pathlib import Path

from ctpdeploy.errors import InputError
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.cohort.case_score import CaseScore
from ctpdeploy.runtime.cohort.evaluation import SUMMARY
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.run_folder import RunFolder

__all__ = ["EvaluatedRun", "evaluated_runs"]


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """One of them.

    Attributes:
        folder: the run folder.
        seen: cases that it was trained on or that chose its best epoch.
        scores: of the test cases.
        preprocess: constants of its preprocessing.
        perfusion: how maps are computed where a case has none.
    """

    folder: Path
    seen: frozenset[str]
    scores: tuple[CaseScore, ...]
    preprocess: PreprocessConfig
    perfusion: PerfusionConfig


def evaluated_runs(reproduction: Path, seed: int) -> dict[str, EvaluatedRun]:
    """The evaluated runs of a reproduction with this seed by their systems, in the order of the tables.

    Raises:
        InputError: there is none, or a file of one cannot be read.
        UsageError: the configuration of one is none of this version.
    """
    folders = {system: reproduction / system / f"seed-{seed}" for system in SYSTEMS}
    runs = {system: _open(folder) for system, folder in folders.items() if (folder / "evaluation" / SUMMARY).is_file()}
    if not runs:
        raise InputError(
            f"No run of seed {seed} in {reproduction} is trained and evaluated: name a folder in which ctpdeploy "
            "reproduce has finished a row."
        )
    return runs


def _open(folder: Path) -> EvaluatedRun:
    run = RunFolder(folder)
    config, split = run.config(), run.split()
    try:
        scores = json.loads((folder / "evaluation" / "scores.json").read_text(encoding="utf-8"))
        return EvaluatedRun(
            folder=folder,
            seen=frozenset([*split.train, *split.validation]),
            scores=tuple(CaseScore.from_json(score) for score in scores),
            preprocess=config.preprocess,
            perfusion=config.perfusion,
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"The run in {folder} cannot be read ({error!r}): remove it and have it made again."
        ) from error
