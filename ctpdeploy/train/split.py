"""Which patients are trained on, and which choose the best epoch.

ISLES 2018 holds several scans of some patients and does not say which; a table ``case,patient`` does. Without one
every case counts as a patient of its own, and scans of one patient may stand on both sides.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctpdeploy.errors import InputError, UsageError

__all__ = ["Split", "read_patients", "split_cases"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Names of the cases of each part, in the order given.

    Attributes:
        train: cases to learn from.
        validation: cases of other patients.
        warnings: what was assumed, one sentence each.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read_patients(file: Path) -> dict[str, str]:
    """Read a CSV file with the columns ``case`` and ``patient``; returns the patient of each case.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return {row["case"].strip(): row["patient"].strip() for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read the table of patients {file}: {error}.") from error
    except (KeyError, AttributeError) as error:
        raise InputError(f"{file} is no table of patients: its columns must be case,patient in every row.") from error


def split_cases(cases: Sequence[str], patients: dict[str, str] | None, *, share: float, seed: int) -> Split:
    """Put a share of the patients, at least one, aside for validation.

    Args:
        cases: names of all cases.
        patients: the patient of each case; None if unknown.
        share: of the patients, in (0, 1).
        seed: the same seed gives the same split.

    Raises:
        InputError: a case has no patient.
        UsageError: two cases have one name, or no patient is left to train on.
    """
    if len(set(cases)) < len(cases):
        twice = next(case for case in cases if list(cases).count(case) > 1)
        raise UsageError(f"Two cases are called {twice}: rename one.")
    warnings = () if patients else ("No table of patients: every case counts as a patient of its own.",)
    known = patients or {case: case for case in cases}
    unknown = [case for case in cases if case not in known]
    if unknown:
        raise InputError(f"The table of patients has no row for {unknown[0]}.")
    names = sorted({known[case] for case in cases})
    count = max(round(share * len(names)), 1)
    if count >= len(names):
        raise UsageError(f"{len(names)} patients cannot be split into training and validation: give more cases.")
    aside = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]}
    return Split(
        train=tuple(case for case in cases if known[case] not in aside),
        validation=tuple(case for case in cases if known[case] in aside),
        warnings=warnings,
    )
