"""Structured report: volumes and findings as an archive can search them (PS3.16 TID 1500)."""

from typing import Final

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.codedict import codes as dictionary

from ctpdeploy import __version__
from ctpdeploy.runtime.data.prediction import Component
from ctpdeploy.runtime.report.dicom import codes
from ctpdeploy.runtime.report.dicom.context import Context, ascii_text, concept
from ctpdeploy.runtime.report.dicom.segmentation import LABEL

__all__ = ["structured_report"]

_SERIES: Final = 0
_MOST_PIECES: Final = 20
"""Pieces of a lesion with a volume of their own, the largest."""


def structured_report(context: Context, segmentation: Segmentation) -> ComprehensiveSR:
    """The report of a case.

    Args:
        context: of the case.
        segmentation: its lesion.
    """
    device = ObserverContext(
        observer_type=dictionary.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=context.identity.uid("observer"),
            name="ctpdeploy",
            manufacturer_name="ctpdeploy",
            model_name=context.versions[0],
            serial_number=context.digest,
        ),
    )
    pieces = context.prediction.components[:_MOST_PIECES]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=device),
        procedure_reported=concept(codes.CT_PERFUSION),
        imaging_measurements=[
            _whole(context, segmentation),
            *(_piece(context, number, piece) for number, piece in enumerate(pieces, start=1)),
        ],
    )
    content[0].ContentSequence.append(_sentences(context))
    data = ComprehensiveSR(
        evidence=[*context.sources.stand_ins, segmentation],
        content=content[0],
        is_complete=True,
        **context.described("report", _SERIES, "CT perfusion report"),
    )
    context.finish(data)
    return data


def _whole(context: Context, segmentation: Segmentation) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """The whole lesion, by its segment."""
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=context.identity.uid("lesion"), identifier=LABEL),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=1,
            source_images=[SourceImageForSegmentation.from_source_image(one) for one in context.sources.stand_ins],
        ),
        finding_type=concept(codes.INFARCT),
        finding_sites=[FindingSite(concept(codes.BRAIN))],
        algorithm_id=AlgorithmIdentification(
            name="ctpdeploy", version=__version__, parameters=[f"bundle {context.digest}"]
        ),
        measurements=[_volume(context.prediction.volume_ml)],
    )


def _piece(context: Context, number: int, piece: Component) -> MeasurementsAndQualitativeEvaluations:
    """A connected piece of the lesion, by the image in its middle."""
    order = context.case.geometry.slice_order()
    middle = [] if order is None else [context.sources.stand_ins[order[round(piece.centroid[0])]]]
    name = f"{LABEL} {number}"
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=context.identity.uid("lesion", str(number)), identifier=name),
        finding_type=concept(codes.INFARCT),
        finding_sites=[FindingSite(concept(codes.BRAIN), concept(codes.SIDES[piece.side]) if piece.side else None)],
        measurements=[_volume(piece.volume_ml)],
        source_images=[SourceImageForMeasurementGroup.from_source_image(one) for one in middle] or None,
    )


def _volume(volume_ml: float) -> Measurement:
    return Measurement(name=concept(codes.VOLUME), value=round(volume_ml, 3), unit=concept(codes.MILLILITRE))


def _sentences(context: Context) -> ContainerContentItem:
    """What the result is for, and the findings."""
    container = ContainerContentItem(concept(codes.QUALITATIVE), relationship_type=RelationshipTypeValues.CONTAINS)
    texts = [(codes.NOTE, text) for text in context.prediction.notices]
    if (left := len(context.prediction.components) - _MOST_PIECES) > 0:
        texts.append((codes.NOTE, f"{left} smaller pieces have no volume of their own here."))
    texts += [(codes.FINDING, f"{found.severity}: {found.sentence}") for found in context.prediction.findings]
    container.ContentSequence = ContentSequence(
        [TextContentItem(concept(name), ascii_text(text), RelationshipTypeValues.CONTAINS) for name, text in texts]
    )
    return container
