"""Scores of many cases together: means, medians and spreads, bias of volumes, detection, calibration, ranks.

Means and standard deviations (ddof 0) are over scans; a score that is undefined in one is left out and counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np

from ctpdeploy.runtime.cohort.case_score import GROUPS, METRICS, CaseScore
from ctpdeploy.runtime.metrics.detection import detection
from ctpdeploy.runtime.metrics.ranking import LARGER_IS_BETTER, mean_ranks
from ctpdeploy.runtime.metrics.reliability import Reliability
from ctpdeploy.runtime.metrics.volume_bias import volume_bias

__all__ = ["summarise"]


def summarise(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Everything that is said of a set of cases.

    ``n`` counts the cases in a mean, ``undefined`` those left out; ``mean``, ``std`` and ``median`` are None where
    ``n`` is 0::

        {"cases": 23,
         "networks": {"dice": {"mean", "std", "median", "n", "undefined"}, ...}, "threshold_rule": {...},
         "groups": {"small": {"cases": 9, "networks": {...}, "threshold_rule": {...}}, "medium": ..., "large": ...},
         "volumes": {"networks": {"bias_ml", "lower_ml", "upper_ml", "n"}, "threshold_rule": ...},
         "detection": {"networks": as of ctpdeploy.runtime.metrics.detection, "threshold_rule": ...},
         "calibration": {"expected_calibration_error", "average_precision", "table": [...]},
         "mean_rank": {"networks": 1.2, "threshold_rule": 1.8}}

    ``calibration`` is of the voxels of all brains together; None where the reliability of a case was not kept.
    ``detection`` lacks a method whose pieces were not kept.
    """
    groups = {group: _averages([score for score in scores if score.group == group]) for group in GROUPS}
    kept = [method for method in METRICS if all(method in score.pieces for score in scores)]
    return {
        **_averages(scores),
        "groups": groups,
        "volumes": {method: _bias(scores, method) for method in METRICS},
        "detection": {method: detection([score.pieces[method] for score in scores]) for method in kept},
        "calibration": _calibration([score.reliability for score in scores]),
        "mean_rank": _ranks(scores) if scores else None,
    }


def _averages(scores: Sequence[CaseScore]) -> dict[str, Any]:
    return {"cases": len(scores)} | {
        method: {name: _average(_column(scores, method, name)) for name in names} for method, names in METRICS.items()
    }


def _column(scores: Sequence[CaseScore], method: str, name: str) -> list[float]:
    """A score of each case; NaN in one whose file an earlier version wrote without it."""
    return [getattr(score, method).get(name, math.nan) for score in scores]


def _average(values: Sequence[float]) -> dict[str, float | int | None]:
    defined = [value for value in values if math.isfinite(value)]
    return {
        "mean": float(np.mean(defined)) if defined else None,
        "std": float(np.std(defined)) if defined else None,
        "median": float(np.median(defined)) if defined else None,
        "n": len(defined),
        "undefined": len(values) - len(defined),
    }


def _bias(scores: Sequence[CaseScore], method: str) -> dict[str, Any]:
    return _defined(asdict(volume_bias([value for value in _column(scores, method, "dv_ml") if math.isfinite(value)])))


def _calibration(kept: Sequence[Reliability | None]) -> dict[str, Any] | None:
    counts = [of for of in kept if of is not None]
    if len(counts) < len(kept) or not counts:
        return None
    together = reduce(Reliability.__add__, counts)
    measures = {
        "expected_calibration_error": together.expected_calibration_error(),
        "average_precision": together.average_precision(),
    }
    return {**_defined(measures), "table": [_defined(asdict(row)) for row in together.table()]}


def _ranks(scores: Sequence[CaseScore]) -> dict[str, float]:
    """Of the methods among each other; HD as the challenge has it, undefined where a mask is empty."""
    return mean_ranks(
        {method: {name: np.array(_column(scores, method, name)) for name in LARGER_IS_BETTER} for method in METRICS}
    )


def _defined(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with None for NaN, which JSON does not know."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in figures.items()}
