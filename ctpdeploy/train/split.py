"""The split of patients: for training, and for the choice of the best epoch.

ISLES 2018 holds several scans of some patients and does not list them; a table ``case,patient`` does. Without one
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
        test: cases of yet others, which training never reads.
        warnings: assumptions, one sentence each.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_patients(file: Path) -> dict[str, str]:
    """Read a CSV file with the columns ``case`` and ``patient``; returns the patient of each case.

    Other columns, blank rows, spaces around words and the case of the two headings do not matter.

    Raises:
        InputError: the file cannot be read, lacks a column or a cell, has no row, or gives a case two patients.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read the table of patients {file}: {error}.") from error
    header, *rows = [row for row in rows if any(row)] or [[]]
    headings = [cell.lower() for cell in header]
    if headings.count("case") != 1 or headings.count("patient") != 1:
        raise InputError(f"{file} is no table of patients: its first row must hold the columns case,patient once each.")
    columns = [headings.index("case"), headings.index("patient")]
    patients: dict[str, str] = {}
    for row in rows:
        case, patient = ([*row, *[""] * len(header)][column] for column in columns)
        if not case or not patient:
            raise InputError(f"{file} has the row '{','.join(row)}': give both case,patient in every row.")
        if patients.setdefault(case, patient) != patient:
            raise InputError(f"{file} gives {case} two patients, {patients[case]} and {patient}: keep one row.")
    if not patients:
        raise InputError(f"{file} has no row below case,patient: give one for each case.")
    return patients


def split_cases(
    cases: Sequence[str], patients: dict[str, str] | None, *, share: float, seed: int, test_share: float = 0.0
) -> Split:
    """Put a share of the patients, at least one, aside for validation, and another one for testing.

    Args:
        cases: names of all cases.
        patients: the patient of each case; None if unknown.
        share: of the patients, in (0, 1).
        seed: the same seed gives the same split.
        test_share: of the patients, in [0, 1).

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
    aside, tested = max(round(share * len(names)), 1), round(test_share * len(names))
    if aside + tested >= len(names):
        raise UsageError(f"{len(names)} patients cannot be split into training and validation: give more cases.")
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    part = dict.fromkeys(order, "train") | dict.fromkeys(order[:aside], "validation")
    part |= dict.fromkeys(order[aside : aside + tested], "test")

    def of(name: str) -> tuple[str, ...]:
        return tuple(case for case in cases if part[known[case]] == name)

    return Split(train=of("train"), validation=of("validation"), test=of("test"), warnings=warnings)
