"""Folds of a cross-validation: every patient is tested once, by networks that never saw one of his scans.

Stratified by volume: patients in the order of the lesion volume of all their scans, cut into blocks of as many as there
are folds, and of each block one patient at random to each fold. So every fold has its small lesions. Within the rest of
a fold, those that validate are drawn in the same way.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.train.split import Split

__all__ = ["FOLDS", "fold_splits", "read_folds", "stratified_folds", "write_folds"]

FOLDS = "folds.json"


def stratified_folds(volumes: Mapping[str, float], folds: int, *, seed: int) -> tuple[tuple[str, ...], ...]:
    """Names in folds whose sizes differ by one at most.

    Args:
        volumes: lesion volume by name, in any unit.
        folds: how many.
        seed: the same seed gives the same folds.

    Raises:
        UsageError: there are fewer than two folds, or fewer names than folds.
    """
    if not 2 <= folds <= len(volumes):
        raise UsageError(f"{len(volumes)} patients cannot be put into {folds} folds: give 2 to {len(volumes)}.")
    rng = np.random.default_rng(seed)
    order = sorted(volumes, key=lambda name: (volumes[name], name))
    places = np.concatenate([rng.permutation(folds) for _ in range(-(-len(order) // folds))])[: len(order)]
    return tuple(
        tuple(name for name, place in zip(order, places.tolist(), strict=True) if place == fold)
        for fold in range(folds)
    )


def fold_splits(
    volumes: Mapping[str, float], patients: Mapping[str, str] | None, *, folds: int, share: float, seed: int
) -> tuple[Split, ...]:
    """The split of each fold.

    Args:
        volumes: lesion volume of each case.
        patients: the patient of each case; None if unknown.
        folds: how many.
        share: of the patients outside a fold, for validation, in (0, 1); at least one.
        seed: the same seed gives the same splits.

    Raises:
        InputError: a case has no patient.
        UsageError: as :func:`stratified_folds`; or too few patients are left to train on.
    """
    known = patients or {case: case for case in volumes}
    if unknown := [case for case in volumes if case not in known]:
        raise InputError(f"The table of patients has no row for {unknown[0]}.")
    of_patient: dict[str, float] = {}
    for case, volume in volumes.items():
        of_patient[known[case]] = of_patient.get(known[case], 0.0) + volume
    warnings = () if patients else ("No table of patients: every case counts as a patient of its own.",)
    splits = []
    for number, tested in enumerate(stratified_folds(of_patient, folds, seed=seed)):
        rest = {name: volume for name, volume in of_patient.items() if name not in tested}
        validated = stratified_folds(rest, min(max(round(1 / share), 2), len(rest)), seed=seed + 1 + number)[0]

        def of(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(case for case in volumes if known[case] in names)

        trained = [name for name in rest if name not in validated]
        splits.append(Split(train=of(trained), validation=of(validated), test=of(tested), warnings=warnings))
    return tuple(splits)


def write_folds(out: Path, splits: Sequence[Split]) -> None:
    """Keep the splits of a reproduction in its folder, which is there."""
    with atomic_replace(out / FOLDS) as partial:
        partial.write_text(json.dumps([asdict(split) for split in splits], indent=2) + "\n", encoding="utf-8")


def read_folds(out: Path) -> tuple[Split, ...]:
    """The splits of a cross-validated reproduction, fold by fold; none where it is not cross-validated.

    Raises:
        InputError: they cannot be read.
    """
    file = out / FOLDS
    if not file.exists():
        return ()
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Split(**{part: tuple(names) for part, names in split.items()}) for split in written)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file} cannot be read ({error!r}): remove the reproduction and make it again.") from error
