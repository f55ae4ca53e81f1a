"""Ranking of systems in the manner of ISLES 2018: rank per case and score, averaged.

The challenge computed Dice, Hausdorff distance and absolute volume difference of each case and ranked by them (Hakim et
al., Stroke 2021). Its script is not public; the rule in detail is that which its organisers printed of ISLES 2015
(Maier et al., Medical Image Analysis 2017): on each case and for each score the systems get a rank, 1 for the best; a
score that does not exist, as HD of an empty mask, gets the worst; a system's figure is the mean of its ranks. Decided
here, as it is not printed: equal scores share the mean of their ranks, those that do not exist among them.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGER_IS_BETTER", "mean_ranks"]

LARGER_IS_BETTER: Final = {"dice": True, "hd_mm": False, "abs_dv_ml": False}
"""The scores of the ranking, by their names in an evaluation."""


def mean_ranks(scores: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> dict[str, float]:
    """Mean rank of each system, the smaller the better.

    Args:
        scores: by system and name, each of ``LARGER_IS_BETTER``, float64 ``(cases,)`` in one order of cases; NaN where
            undefined.

    Raises:
        ValueError: there is no case, or systems differ in their number of cases.
    """
    lengths = {len(values) for of in scores.values() for values in of.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"systems are ranked on the same cases, one or more, not on {sorted(lengths)}")
    ranks = []
    for name, larger in LARGER_IS_BETTER.items():
        table = np.stack([of[name] for of in scores.values()])
        costs = np.where(np.isnan(table), np.inf, -table if larger else table)
        ranks.append(_ranks(costs))
    return dict(zip(scores, np.mean(ranks, axis=(0, 2)).tolist(), strict=True))


def _ranks(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within each column of ``(systems, cases)``, from 1; not SciPy's, whose statistics take long to import."""
    less = (costs[None] < costs[:, None]).sum(axis=1)
    equal = (costs[None] == costs[:, None]).sum(axis=1)
    return less + (equal + 1) / 2
