"""The source's claims in a reproduction: pairs of rows of which it says that one is better.

A claim holds if the paired difference lies on the source's side of zero with a Holm-adjusted p of at most ``LEVEL``,
fails if on the other side, and is within noise if neither. Of a pair that the source does not have, the first is better
or worse. Holm's adjustment is over all claims whose rows are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import CONTROLS, TABLES, row_named
from ctpdeploy.runtime.cohort.case_score import CaseScore
from ctpdeploy.train.reproduction.folds import read_folds
from ctpdeploy.train.reproduction.paired_difference import PairedDifference, holm, paired_difference
from ctpdeploy.train.reproduction.run_scores import read_scores

__all__ = ["CLAIMS", "SCORES_JUDGED", "JudgedClaim", "Verdict", "judged_claims"]

CLAIMS: Final = (
    (5, "real_dwi", "dwi_olh"),
    (5, "dwi_olh", "Fo"),
    (5, "dwi_olh", "dwi_ol"),
    (5, "dwi_ol", "dwi_o"),
    (5, "dwi_o", "Fo"),
    (4, "wce_hgd", "ce"),
    (3, "slnet", "unet"),
    (5, "dwi_olh", "dwi_olh_s"),
    (5, "dwi_olh", "features_frames"),
    (5, "features_frames", "Fo"),
    (6, "ours", "liu"),
    (6, "ours", "chen"),
    (6, "ours", "garcia"),
)
"""Table and two rows, its own or of ``CONTROLS``; which is the better one the published Dice says, if any."""

SCORES_JUDGED: Final = {"dice": 1.0, "ap": 1.0, "abs_dv_ml": -1.0}
"""Scores by which a claim can be judged, with 1 where larger is better and -1 where smaller is."""

LEVEL: Final = 0.05

Verdict = Literal["holds", "fails", "within noise", "better", "worse"]


@dataclass(frozen=True, kw_only=True)
class JudgedClaim:
    """One claim.

    Attributes:
        table: its number.
        row: the row that is named first.
        other: the row that it is compared with.
        published: difference of their mean Dice in the source, percentage points; None where it has not both.
        measured: difference of the score.
        holm_p: of the bootstrap, adjusted over all claims judged together.
        holm_wilcoxon_p: of Wilcoxon's test, likewise.
        verdict: by ``holm_p``.
        derived: whether a row is, so that the claim is judged of what stands for it.
    """

    table: int
    row: str
    other: str
    published: float | None
    measured: PairedDifference
    holm_p: float
    holm_wilcoxon_p: float
    verdict: Verdict
    derived: bool


def judged_claims(
    reproduction: Path, *, score: str = "dice", patients: Mapping[str, str] | None = None
) -> tuple[JudgedClaim, ...]:
    """Judge every claim whose two rows are evaluated with a common seed.

    Args:
        reproduction: folder of the runs.
        score: one of ``SCORES_JUDGED``.
        patients: the patient of each case; None if every case is a patient.

    Raises:
        InputError: scores cannot be read, or the two rows were not tested on the same cases.
    """
    found = []
    for table, row, other in CLAIMS:
        pair = [_scores(reproduction, _system(table, name)) for name in (row, other)]
        seeds = sorted(pair[0].keys() & pair[1].keys())
        if seeds:
            runs = [[of[seed] for seed in seeds] for of in pair]
            found.append((table, row, other, _difference(runs[0], runs[1], score, patients)))
    adjusted = holm([measured.p for *_, measured in found])
    beside = holm([measured.wilcoxon_p for *_, measured in found])
    judged = []
    for (table, row, other, measured), p, wilcoxon_p in zip(found, adjusted, beside, strict=True):
        published = _published(table, row, other)
        judged.append(
            JudgedClaim(
                table=table,
                row=row,
                other=other,
                published=published,
                measured=measured,
                holm_p=p,
                holm_wilcoxon_p=wilcoxon_p,
                verdict=_verdict(measured.mean * SCORES_JUDGED[score], published) if p <= LEVEL else "within noise",
                derived=any(row_named(_system(table, name)).derived for name in (row, other)),
            )
        )
    return tuple(judged)


def _system(table: int, row: str) -> str:
    return (TABLES[table] | CONTROLS)[row]


def _scores(reproduction: Path, system: str) -> dict[str, tuple[CaseScore, ...]]:
    """Scores of a system by the folder of the seed, of those that are evaluated."""
    folds = len(read_folds(reproduction))
    runs = {folder.name: read_scores(folder, folds) for folder in (reproduction / system).glob("seed-*")}
    return {seed: scores for seed, scores in runs.items() if scores is not None}


def _difference(
    one: Sequence[Sequence[CaseScore]],
    other: Sequence[Sequence[CaseScore]],
    score: str,
    patients: Mapping[str, str] | None,
) -> PairedDifference:
    """Of two rows, seed by seed; scans in which the score is undefined in any run are left out."""
    names = [[of.case for of in scores] for scores in (*one, *other)]
    if any(cases != names[0] for cases in names):
        raise InputError("Two rows were not tested on the same cases in the same order: evaluate them again.")
    values = np.array(
        [[[case.networks.get(score, np.nan) for case in scores] for scores in runs] for runs in (one, other)]
    )
    kept = np.isfinite(values).all(axis=(0, 1))
    if not kept.any():
        raise InputError(f"The score {score} is undefined in every case: rows of an earlier version are without it.")
    who = [
        patients.get(name, name) if patients else name for name, is_kept in zip(names[0], kept, strict=True) if is_kept
    ]
    return paired_difference(values[0][:, kept] - values[1][:, kept], who)


def _verdict(gain: float, published: float | None) -> Verdict:
    if published is None:
        return "better" if gain > 0 else "worse"
    return "holds" if gain * published > 0 else "fails"


def _published(table: int, row: str, other: str) -> float | None:
    rows = published_table(table).rows
    if not {row, other} <= rows.keys():
        return None
    column, factor = ("dice", 100.0) if table == 6 else ("dice_pct", 1.0)
    one, two = ([cell.mean for cell in (rows[name].cells[column],) if cell] for name in (row, other))
    return factor * (one[0] - two[0])  # tables 3 to 6 print a Dice in every row
