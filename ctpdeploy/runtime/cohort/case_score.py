"""Scores of one case: of the networks, and of the threshold rule on the same patient.

Every score is of the whole scan, in its own voxels. Fractions stay fractions, volumes are ml, distances mm, PSNR is dB.
Average precision and reliability are of the brain, with all of the true lesion wherever that lies: air is told from
lesion by anything.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray, Case, FloatArray
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.metrics.average_precision import average_precision
from ctpdeploy.runtime.metrics.detection import Pieces, find_pieces
from ctpdeploy.runtime.metrics.image_quality import ImageQuality, image_quality
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.metrics.reliability import Reliability
from ctpdeploy.runtime.metrics.surface_distance import surface_distance
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi

__all__ = [
    "GROUPS",
    "LARGE_ABOVE_ML",
    "METRICS",
    "SMALL_BELOW_ML",
    "CaseScore",
    "brain_of",
    "score_case",
    "score_mask",
]

MASK_METRICS = (
    *("dice", "precision", "recall", "rve", "dv_ml", "abs_dv_ml"),
    *("hd_mm", "hd_or_diagonal_mm", "assd_mm"),
)
IMAGE_METRICS = (
    *("global_ssim", "local_ssim", "global_psnr", "local_psnr"),
    *("brain_ssim", "brain_psnr", "flat_ssim", "flat_psnr"),
)
METRICS: Mapping[str, tuple[str, ...]] = {
    "networks": (*MASK_METRICS, "ap", *IMAGE_METRICS),
    "threshold_rule": MASK_METRICS,
}
"""The scores of each method; the threshold rule knows no probability and makes no image."""

GROUPS = ("small", "medium", "large")
SMALL_BELOW_ML, LARGE_ABOVE_ML = 10.0, 50.0


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """Scores of one case: of the networks, and of the rule Tmax > 6 s and rCBF < 30 %.

    Attributes:
        case: name of the case.
        true_volume_ml: volume of the lesion drawn on DWI.
        networks: ``volume_ml`` and each score of ``METRICS`` by name; NaN where undefined or not measured.
        threshold_rule: the same without the scores of a probability and of an image.
        pieces: of the lesion, by method; empty where it was not kept.
        reliability: of the networks' probability in the brain; None where it was not kept.
    """

    case: str
    true_volume_ml: float
    networks: Mapping[str, float]
    threshold_rule: Mapping[str, float]
    pieces: Mapping[str, Pieces] = field(default_factory=dict)
    reliability: Reliability | None = None

    @property
    def group(self) -> str:
        """``small`` under 10 ml, ``large`` over 50 ml, ``medium`` between, 10 and 50 included; no lesion is small."""
        volume = round(self.true_volume_ml, 6)  # the sum of 10 ml in voxels is not always 10.0
        if volume < SMALL_BELOW_ML:
            return "small"
        return "large" if volume > LARGE_ABOVE_ML else "medium"

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "CaseScore":
        """The score that stands in ``scores.json``; figures that an earlier version did not write are NaN.

        Raises:
            LookupError, TypeError: it is none.
        """
        methods = {
            method: {name: math.nan if value is None else value for name, value in written[method].items()}
            for method in METRICS
        }
        pieces = {
            method: Pieces(**{name: tuple(values) for name, values in of.items()})
            for method, of in written.get("pieces", {}).items()
        }
        return cls(
            case=written["case"],
            true_volume_ml=written["true_volume_ml"],
            networks=methods["networks"],
            threshold_rule=methods["threshold_rule"],
            pieces=pieces,
        )

    def to_json(self) -> dict[str, Any]:
        """The score for ``scores.json``, without its reliability; undefined figures are None."""
        figures = {
            method: {name: value if math.isfinite(value) else None for name, value in getattr(self, method).items()}
            for method in METRICS
        }
        about = {"case": self.case, "group": self.group, "true_volume_ml": self.true_volume_ml}
        return {**about, **figures, "pieces": {method: asdict(of) for method, of in self.pieces.items()}}


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
    lesion = _lesion_of(case)
    if prediction.mask.shape != lesion.shape:
        raise InputError(
            f"The prediction has the shape {prediction.mask.shape} and {case.identifier} {lesion.shape}: give the "
            "case that was predicted."
        )
    brain = brain_of(case)
    quality = ImageQuality()
    if case.dwi is not None and prediction.pseudo_dwi is not None:
        image = np.clip(prediction.pseudo_dwi, 0.0, 1.0) if config.dwi_clipped else prediction.pseudo_dwi
        quality = image_quality(image, scale_dwi(case.dwi, config), lesion, brain, ssim=ssim)
    masks = {"networks": prediction.mask, "threshold_rule": threshold_rule(case)}
    judged = brain | lesion
    return CaseScore(
        case=case.identifier,
        true_volume_ml=case.geometry.volume_ml(lesion),
        networks=score_mask(masks["networks"], case, prediction.probability, judged) | asdict(quality),
        threshold_rule=score_mask(masks["threshold_rule"], case),
        pieces={name: find_pieces(mask, lesion, case.geometry.voxel_ml) for name, mask in masks.items()},
        reliability=Reliability.of(prediction.probability, lesion, judged),
    )


def score_mask(
    mask: BoolArray, case: Case, probability: FloatArray | None = None, inside: BoolArray | None = None
) -> dict[str, float]:
    """The scores of a mask ``(D, H, W)`` of a case with a lesion, by their names, whatever method drew it.

    Args:
        mask: the prediction.
        case: with a lesion.
        probability: of lesion, ``(D, H, W)``, for ``ap``; None where the method has none.
        inside: voxels whose order ``ap`` judges; all if None.

    Raises:
        InputError: the case has no lesion mask.
    """
    lesion = _lesion_of(case)
    counted = asdict(agreement(mask, lesion, case.geometry.voxel_ml))
    del counted["true_volume_ml"]  # the case's, not the method's
    ordered = {} if probability is None else {"ap": average_precision(probability, lesion, inside)}
    return counted | ordered | asdict(surface_distance(mask, lesion, case.geometry.spacing))


def _lesion_of(case: Case) -> BoolArray:
    if case.lesion is None:
        raise InputError(f"{case.identifier} has no lesion mask (OT): it can be inferred but not evaluated.")
    return case.lesion


def brain_of(case: Case) -> BoolArray:
    """The brain of a case ``(D, H, W)`` as its series shows it."""
    return brain_mask(case.series.mean(axis=0, dtype=np.float32), case.geometry.spacing)
