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


OnOutcome = Callable[[int, str, Outcome], None]
"""Called with the number, the kind and the outcome of each attempt."""


def in_turns(
    kinds: Sequence[str],
    work: Path,
    attempt: Callable[[str, Path, np.random.Generator], Outcome],
    *,
    count: int,
    seed: int,
    on_outcome: OnOutcome,
) -> Counts:
    """Attempts at one kind after the other, counted.

    Args:
        kinds: what can go wrong.
        work: folder for the copies that are spoiled, which are removed again.
        attempt: function from a kind, an empty folder and a generator to what came of it.
        count: attempts.
        seed: of the choices.
        on_outcome: called with each.
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        copy = work / f"{number}"
        copy.mkdir(parents=True)
        outcome = attempt(kind, copy, np.random.default_rng((seed, number)))
        counts[kind][outcome.verdict] += 1
        on_outcome(number, kind, outcome)
        shutil.rmtree(copy)
    return counts


def run(
    pipeline: Pipeline,
    cases: Sequence[Path],
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: OnOutcome = lambda *_: None,
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
    right = {folder: pipeline.predict(read_nifti_case("case", _inputs(folder))) for folder in cases}

    def attempt(kind: str, copy: Path, rng: np.random.Generator) -> Outcome:
        one, other = pair(cases, rng)
        files = _copied(_inputs(one), copy)
        MUTATIONS[kind](files, _inputs(other), rng)
        return judge(pipeline, files, right[one])

    return in_turns(list(MUTATIONS), work, attempt, count=count, seed=seed, on_outcome=on_outcome)


def pair(patients: Sequence[Path], rng: np.random.Generator) -> tuple[Path, Path]:
    """The patient whose copy is spoiled, and another."""
    one, other = rng.choice(len(patients), 2, replace=False)
    return patients[int(one)], patients[int(other)]


def failures(counts: Counts) -> int:
    """How many gave a wrong mask unsaid, crashed or hung."""
    return sum(of_one[verdict] for of_one in counts.values() for verdict in FAILURES)


def _inputs(folder: Path) -> dict[str, Path]:
    files = nifti_cases.files_of(folder)
    return {role: files[role] for role in INPUTS}


def _copied(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    return {role: Path(shutil.copyfile(path, folder / f"{role}.nii")) for role, path in files.items()}
