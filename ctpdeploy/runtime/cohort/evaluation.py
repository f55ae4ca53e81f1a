"""Scores over a set of cases: the networks beside the threshold rule on the same patients.

Every score is of a whole scan, in its own voxels; means and standard deviations (ddof 0) are over scans. Fractions
stay fractions, distances are mm, PSNR is dB.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_replace, require_writable
from ctpdeploy.errors import BatchError, InputError, sentence_of
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.metrics.image_quality import ImageQuality, image_quality
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.metrics.surface_distance import surface_distance
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi

__all__ = [
    "GROUPS",
    "METRICS",
    "SUMMARY",
    "CaseScore",
    "as_csv",
    "as_json",
    "evaluate_cases",
    "score_case",
    "summarise",
]

SUMMARY = "summary.json"
"""The file that is written last: where it is, an evaluation is complete."""

MASK_METRICS = ("dice", "precision", "recall", "rve", "hd_mm", "hd_or_diagonal_mm", "assd_mm")
IMAGE_METRICS = ("global_ssim", "local_ssim", "global_psnr", "local_psnr")
METRICS: Mapping[str, tuple[str, ...]] = {
    "networks": MASK_METRICS + IMAGE_METRICS,
    "threshold_rule": MASK_METRICS,
}
"""The scores of each method; the threshold rule makes no image."""

GROUPS = ("small", "medium", "large")
SMALL_BELOW_ML, LARGE_ABOVE_ML = 10.0, 50.0


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """Scores of one case: of the networks, and of the rule Tmax > 6 s and rCBF < 30 %.

    Attributes:
        case: name of the case.
        true_volume_ml: volume of the lesion drawn on DWI.
        networks: ``volume_ml`` and each score of ``METRICS`` by name; NaN where undefined or not measured.
        threshold_rule: the same without the scores of an image.
    """

    case: str
    true_volume_ml: float
    networks: Mapping[str, float]
    threshold_rule: Mapping[str, float]

    @property
    def group(self) -> str:
        """``small`` under 10 ml, ``large`` over 50 ml, ``medium`` between, 10 and 50 included; no lesion is small."""
        volume = round(self.true_volume_ml, 6)  # the sum of 10 ml in voxels is not always 10.0
        if volume < SMALL_BELOW_ML:
            return "small"
        return "large" if volume > LARGE_ABOVE_ML else "medium"


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
        "scores.json": as_json(scores),
        SUMMARY: json.dumps(summary, indent=2, allow_nan=False) + "\n",
    }.items():
        with atomic_replace(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return summary


def score_case(case: Case, prediction: Prediction, config: PreprocessConfig, *, ssim: bool = True) -> CaseScore:
    """Compare a prediction and the threshold rule with the lesion drawn on DWI, and the pseudo-DWI with the DWI.

    Args:
        case: with a lesion; without a DWI there is no image quality.
        prediction: of that case; without a pseudo-DWI there is no image quality either.
        config: how the DWI is scaled.
        ssim: whether to measure SSIM, which needs scikit-image.

    Raises:
        InputError: the case has no lesion mask, or the prediction is of another case.
        MissingPackageError: SSIM is to be measured and scikit-image is not installed.
    """
    if case.lesion is None:
        raise InputError(f"{case.identifier} has no lesion mask (OT): it can be inferred but not evaluated.")
    if prediction.mask.shape != case.lesion.shape:
        raise InputError(
            f"The prediction has the shape {prediction.mask.shape} and {case.identifier} {case.lesion.shape}: give the "
            "case that was predicted."
        )
    quality = ImageQuality()
    if case.dwi is not None and prediction.pseudo_dwi is not None:
        image = np.clip(prediction.pseudo_dwi, 0.0, 1.0) if config.dwi_clipped else prediction.pseudo_dwi
        quality = image_quality(image, scale_dwi(case.dwi, config), case.lesion, ssim=ssim)
    return CaseScore(
        case=case.identifier,
        true_volume_ml=case.geometry.volume_ml(case.lesion),
        networks=_compare(prediction.mask, case, case.lesion) | asdict(quality),
        threshold_rule=_compare(threshold_rule(case), case, case.lesion),
    )


def _compare(mask: BoolArray, case: Case, lesion: BoolArray) -> dict[str, float]:
    counted = asdict(agreement(mask, lesion, case.geometry.voxel_ml))
    del counted["true_volume_ml"]  # the case's, not the method's
    return counted | asdict(surface_distance(mask, lesion, case.geometry.spacing))


def summarise(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Mean and standard deviation over cases of each score of each method, of all cases and by size of the lesion.

    A score that is undefined in a case is left out of its mean: ``n`` counts the cases in it, ``undefined`` those
    left out::

        {"cases": 23, "networks": {"dice": {"mean", "std", "n", "undefined"}, ...}, "threshold_rule": {...},
         "groups": {"small": {"cases": 9, "networks": {...}, "threshold_rule": {...}}, "medium": ..., "large": ...}}

    ``mean`` and ``std`` are None where ``n`` is 0.
    """
    groups = {group: _averages([score for score in scores if score.group == group]) for group in GROUPS}
    return {**_averages(scores), "groups": groups}


def _averages(scores: Sequence[CaseScore]) -> dict[str, Any]:
    return {"cases": len(scores)} | {
        method: {name: _average([getattr(score, method)[name] for score in scores]) for name in names}
        for method, names in METRICS.items()
    }


def _average(values: Sequence[float]) -> dict[str, float | int | None]:
    defined = [value for value in values if math.isfinite(value)]
    return {
        "mean": float(np.mean(defined)) if defined else None,
        "std": float(np.std(defined)) if defined else None,
        "n": len(defined),
        "undefined": len(values) - len(defined),
    }


def as_csv(scores: Sequence[CaseScore]) -> str:
    """One line for each case and method; undefined figures are empty."""
    fields = ("volume_ml", *MASK_METRICS, *IMAGE_METRICS)
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
    cases = [
        {"case": score.case, "group": score.group, "true_volume_ml": score.true_volume_ml}
        | {
            method: {name: value if math.isfinite(value) else None for name, value in getattr(score, method).items()}
            for method in METRICS
        }
        for score in scores
    ]
    return json.dumps(cases, indent=2, allow_nan=False) + "\n"
