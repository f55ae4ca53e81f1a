"""Evaluation of a set of cases: the networks beside the threshold rule on the same patients, and three files of it."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_replace, require_writable
from ctpdeploy.errors import BatchError, sentence_of
from ctpdeploy.runtime.cohort.case_score import METRICS, CaseScore, score_case
from ctpdeploy.runtime.cohort.score_summary import summarise
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.pipeline import Pipeline

__all__ = ["SCORES", "SUMMARY", "as_csv", "as_json", "evaluate_cases"]

SCORES = "scores.json"
SUMMARY = "summary.json"
"""The file that is written last: where it is, an evaluation is complete."""


def evaluate_cases(
    pipeline: Pipeline,
    cases: Sequence[CaseRef],
    out: Path,
    *,
    ssim: bool = True,
    on_case: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Predict and score cases; write ``scores.csv``, ``scores.json`` and ``summary.json`` into a folder.

    Args:
        pipeline: the networks to evaluate.
        cases: to read, predict and score.
        out: folder of the three files, which replace earlier ones; nothing is written before all cases are scored.
        ssim: whether to measure SSIM, as for :func:`score_case`.
        on_case: called with the number of cases scored or refused and of all cases.

    Returns:
        The summary, as :func:`summarise` makes it, with ``known``: names of the cases that the networks were trained on
        or chosen by, whatever they are called; and ``refused``: reasons by the names of the cases that failed.
        Whatever is raised for one case costs the others nothing.

    Raises:
        UsageError: the folder cannot be written.
        Exception: that of the case where it is the only one.
        BatchError: every case is refused; nothing is written.
    """
    require_writable(out)
    scores, known, refused = list[CaseScore](), list[str](), dict[str, str]()
    for number, ref in enumerate(cases, start=1):
        try:
            case = ref.read(pipeline.perfusion)
            prediction = pipeline.predict(case)
            scores.append(score_case(case, prediction, pipeline.config, ssim=ssim))
            known += [ref.name] if prediction.knows_case else []
        except Exception as error:  # of this case alone
            if len(cases) == 1:
                raise
            refused[ref.name] = sentence_of(error)
        if on_case:
            on_case(number, len(cases))
    if not scores:
        name, reason = next(iter(refused.items()))
        raise BatchError(f"All {len(cases)} cases failed and nothing was written. {name}: {reason}")
    summary = {"intended_use": INTENDED_USE, **summarise(scores), "known": known, "refused": refused}
    (out / SUMMARY).unlink(missing_ok=True)  # never an earlier summary beside new scores
    for name, text in {
        "scores.csv": as_csv(scores),
        SCORES: as_json(scores),
        SUMMARY: json.dumps(summary, indent=2, allow_nan=False) + "\n",
    }.items():
        with atomic_replace(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return summary


def as_csv(scores: Sequence[CaseScore]) -> str:
    """One line for each case and method; undefined figures are empty."""
    fields = ("volume_ml", *METRICS["networks"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "method", "group", "true_volume_ml", *fields])
    for score in scores:
        for method in METRICS:
            values = [getattr(score, method).get(field, math.nan) for field in fields]
            cells = [f"{value:.6g}" if math.isfinite(value) else "" for value in values]
            writer.writerow([score.case, method, score.group, f"{score.true_volume_ml:.6g}", *cells])
    return text.getvalue()


def as_json(scores: Sequence[CaseScore]) -> str:
    """A list with an object for each case, its figures by method and name; undefined figures are null."""
    return json.dumps([score.to_json() for score in scores], indent=2, allow_nan=False) + "\n"
