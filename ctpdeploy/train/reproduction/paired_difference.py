"""The paired difference of two systems over patients and seeds: how large, how sure.

Both are scored on the same scans, trained with the same seeds; d_{s,c} is the difference at seed s and scan c. Patients
and seeds are what would be others in a repetition, so both are drawn, with replacement, each with all that belongs to
it (a bootstrap of two crossed ways)::

    d* = sum over drawn s, drawn patients p, scans c of p of d_{s,c} / their number
    interval = 2.5th to 97.5th percentile of d*
    p = 2 min(#{d* <= 0} + 1, #{d* >= 0} + 1) / (draws + 1)

Beside it Wilcoxon's signed-rank test of the patients' means, which knows nothing of seeds; over several claims Holm's
p-values, each with which all claims of a smaller one hold together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["PairedDifference", "holm", "paired_difference"]

DRAWS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """One difference.

    Attributes:
        mean: over seeds and scans.
        low: lower end of the 95 % interval.
        high: upper end.
        p: two-sided, of the bootstrap.
        wilcoxon_p: two-sided, of the patients' means; 1 where no patient differs.
        by_seed: mean of each seed.
        patients: number of them.
    """

    mean: float
    low: float
    high: float
    p: float
    wilcoxon_p: float
    by_seed: tuple[float, ...]
    patients: int


def paired_difference(differences: NDArray[np.float64], patients: Sequence[str], *, seed: int = 0) -> PairedDifference:
    """Estimate a difference.

    Args:
        differences: one system's score less the other's, finite, ``(seeds, scans)``.
        patients: of each scan.
        seed: of the draws.

    Raises:
        ValueError: there is no seed or no scan, a difference is not finite, or scans and patients differ in number.
    """
    if not differences.size or not np.isfinite(differences).all() or differences.shape[1] != len(patients):
        raise ValueError(f"differences {differences.shape} of {len(patients)} patients' scans are empty or not finite")
    _, place, scans = np.unique(np.array(patients), return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(place, weights=row, minlength=len(scans)) for row in differences])
    runs, people = sums.shape
    rng = np.random.default_rng(seed)
    times = rng.multinomial(people, np.full(people, 1 / people), size=DRAWS)
    runs_drawn = rng.multinomial(runs, np.full(runs, 1 / runs), size=DRAWS)
    drawn = ((runs_drawn @ sums) * times).sum(axis=1) / (runs * (times @ scans))
    low, high = np.percentile(drawn, [2.5, 97.5])
    tail = min(int(np.count_nonzero(drawn <= 0)), int(np.count_nonzero(drawn >= 0)))
    means = sums.mean(axis=0) / scans
    return PairedDifference(
        mean=float(differences.mean()),
        low=float(low),
        high=float(high),
        p=min(2 * (tail + 1) / (DRAWS + 1), 1.0),
        wilcoxon_p=float(stats.wilcoxon(means).pvalue) if means.any() else 1.0,
        by_seed=tuple(differences.mean(axis=1).tolist()),
        patients=people,
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given.

    Of the k-th smallest of m it is ``max over j <= k of (m - j + 1) p_j``, at most 1.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(factors * np.array(p_values)[order]), 1.0)
    result = np.empty(len(p_values))
    result[order] = adjusted
    return tuple(result.tolist())
