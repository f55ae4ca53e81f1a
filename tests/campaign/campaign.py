"""The campaign: many copies of a few right cases, each spoiled in one way, and none may give a wrong mask unsaid."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from support import nifti_cases

from campaign.judge import FAILURES, Outcome, judge
from campaign.mutations import MUTATIONS
from ctpdeploy.runtime import Pipeline
from ctpdeploy.runtime.io.nifti_case import read_nifti_case

INPUTS = ("ctp", "cbf", "cbv", "mtt", "tmax")

Counts = Mapping[str, Counter[str]]
"""Verdicts by the name of a mutation."""


def run(
    pipeline: Pipeline,
    cases: Sequence[Path],
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: Callable[[int, str, Outcome], None] = lambda *_: None,
) -> Counts:
    """Spoil and judge.

    Args:
        pipeline: opened.
        cases: folders of right cases, two at least, laid out as ISLES 2018.
        work: folder for copies, which are removed again.
        count: mutated cases; mutations come in turns.
        seed: of the choices.
        on_outcome: called with the number, the mutation and the outcome of each.
    """
    right = {}
    for folder in cases:
        files = _inputs(folder)
        right[folder] = pipeline.predict(read_nifti_case("case", files))
    counts: dict[str, Counter[str]] = {name: Counter() for name in MUTATIONS}
    names = list(MUTATIONS)
    for number in range(count):
        name = names[number % len(names)]
        rng = np.random.default_rng((seed, number))
        one, other = (cases[int(index)] for index in rng.choice(len(cases), 2, replace=False))
        copy = work / f"{number}"
        files = _copied(_inputs(one), copy)
        MUTATIONS[name](files, _inputs(other), rng)
        outcome = judge(pipeline, files, right[one])
        counts[name][outcome.verdict] += 1
        on_outcome(number, name, outcome)
        shutil.rmtree(copy)
    return counts


def failures(counts: Counts) -> int:
    """How many gave a wrong mask unsaid, crashed or hung."""
    return sum(of_one[verdict] for of_one in counts.values() for verdict in FAILURES)


def _inputs(folder: Path) -> dict[str, Path]:
    files = nifti_cases.files_of(folder)
    return {role: files[role] for role in INPUTS}


def _copied(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    return {role: Path(shutil.copyfile(path, folder / f"{role}.nii")) for role, path in files.items()}
