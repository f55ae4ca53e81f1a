"""Segmentation: the lesion on the slices of the source (PS3.3 A.51)."""

from typing import Any

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.report.dicom.codes import BRAIN, INFARCT, MORPHOLOGIC
from ctpdeploy.runtime.report.dicom.context import Context, concept

__all__ = ["LABEL", "segmentation"]

LABEL = "Infarct"
_RED = CIELabColor(53.0, 80.0, 67.0)
_MASK = ("segmentation", 1, LABEL)
_PROBABILITY = ("probability-segmentation", 2, "Infarct probability")
"""Word, number of the series among the results', and description."""


def segmentation(context: Context, *, fractional: bool = False) -> Segmentation:
    """One segment, all lesions of a case; a frame for every slice, empty ones too, since some readers count frames.

    Args:
        context: of the case.
        fractional: take the probability, in 255ths, and not the mask.
    """
    prediction = context.prediction
    volume: NDArray[Any] = prediction.probability.clip(0.0, 1.0) if fractional else prediction.mask.astype(np.uint8)
    kind = SegmentationTypeValues.FRACTIONAL if fractional else SegmentationTypeValues.BINARY
    segment = SegmentDescription(
        segment_number=1,
        segment_label=LABEL,
        segmented_property_category=concept(MORPHOLOGIC),
        segmented_property_type=concept(INFARCT),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=context.algorithm(),
        tracking_uid=context.identity.uid("lesion"),
        tracking_id=LABEL,
        anatomic_regions=[concept(BRAIN)],
        display_color=_RED,
    )
    data = Segmentation(
        source_images=context.sources.stand_ins,
        pixel_array=context.frames(volume),
        segmentation_type=kind,
        segment_descriptions=[segment],
        pixel_measures=context.pixel_measures(),
        omit_empty_frames=False,
        max_fractional_value=255,
        content_label="INFARCT",
        content_description=INTENDED_USE,
        **context.described(*(_PROBABILITY if fractional else _MASK)),
    )
    context.finish(data)
    return data
