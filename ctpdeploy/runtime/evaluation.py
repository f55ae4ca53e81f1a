"""Scores over a set of cases: the networks beside the threshold rule on the same patients."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.agreement import Agreement, agreement
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.postprocess import Prediction
from ctpdeploy.runtime.threshold_rule import threshold_rule

__all__ = ["SCORES", "CaseScore", "as_csv", "score_case", "summarise"]

SCORES = ("dice", "precision", "recall", "relative_volume_error")
"""The figures of merit that are averaged over cases, all of them fractions."""


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """One case: how the networks did and how the rule Tmax > 6 s and rCBF < 30 % did."""

    case: str
    networks: Agreement
    threshold_rule: Agreement


def score_case(case: Case, prediction: Prediction) -> CaseScore:
    """Compare a prediction and the threshold rule with the lesion drawn on DWI.

    Raises:
        InputError: the case has no lesion mask.
    """
    if case.lesion is None:
        raise InputError(f"{case.identifier} has no lesion mask (OT): it can be inferred but not evaluated.")
    voxel = case.geometry.voxel_ml
    return CaseScore(
        case=case.identifier,
        networks=agreement(prediction.mask, case.lesion, voxel),
        threshold_rule=agreement(threshold_rule(case), case.lesion, voxel),
    )


def summarise(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Mean and standard deviation over cases (population, ddof 0) of each score, for both methods.

    A score that is undefined in a case is left out of its mean; ``undefined`` counts those cases.
    """
    summary: dict[str, Any] = {"cases": len(scores)}
    for method in ("networks", "threshold_rule"):
        summary[method] = {}
        for name in SCORES:
            values = np.array([getattr(getattr(score, method), name) for score in scores], dtype=float)
            defined = values[np.isfinite(values)]
            summary[method][name] = {
                "mean": float(defined.mean()) if defined.size else None,
                "std": float(defined.std()) if defined.size else None,
                "undefined": int(values.size - defined.size),
            }
    return summary


def as_csv(scores: Sequence[CaseScore]) -> str:
    """One line for each case and method; undefined figures are empty."""
    fields = [field.name for field in dataclasses.fields(Agreement)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "method", *fields])
    for score in scores:
        for method in ("networks", "threshold_rule"):
            values = [getattr(getattr(score, method), field) for field in fields]
            writer.writerow([score.case, method, *(f"{v:.6g}" if np.isfinite(v) else "" for v in values)])
    return text.getvalue()
