"""Functional groups: what the frames of an image share, and how they are counted (PS3.3 C.7.6.16, C.8.15.3)."""

from collections.abc import Mapping
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from ctpdeploy.phantom.dicom.headers import Identity, decimals
from ctpdeploy.phantom.dicom.quantities import Quantity
from ctpdeploy.phantom.dicom.space import Space

__all__ = ["IMAGE_TYPE", "code", "describe_frames", "items", "place", "shared_groups", "value_mapping"]

IMAGE_TYPE: Final = ("ORIGINAL", "PRIMARY", "DYNAMIC", "NONE")
"""Of the images of a dynamic scan; those of Enhanced CT have four values."""

DIMENSIONS: Final = ("TemporalPositionIndex", "InStackPositionNumber")
"""By which frames are counted, in the values of Dimension Index Values."""


def items(*members: Mapping[str, Any]) -> Sequence:
    """A sequence of items, each of values by their keywords."""
    found = []
    for member in members:
        item = Dataset()
        for keyword, value in member.items():
            setattr(item, keyword, value)
        found.append(item)
    return Sequence(found)


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item (PS3.3 table 8.8-1)."""
    return items({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})


def describe_frames(data: Dataset, identity: Identity, image_type: tuple[str, ...]) -> None:
    """Add what an image of many frames states outside its functional groups."""
    data.ImageType = list(image_type)
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = identity.uid("space"), ""
    data.PatientPosition, data.ContentQualification = "HFS", "RESEARCH"
    data.BurnedInAnnotation, data.LossyImageCompression = "NO", "00"
    data.PresentationLUTShape = "IDENTITY"
    data.AcquisitionContextSequence = items()
    organization = identity.uid("dimensions")
    data.DimensionOrganizationSequence = items({"DimensionOrganizationUID": organization})
    data.DimensionIndexSequence = items(
        *(
            {
                "DimensionOrganizationUID": organization,
                "DimensionIndexPointer": Tag(keyword),
                "FunctionalGroupPointer": Tag("FrameContentSequence"),
            }
            for keyword in DIMENSIONS
        )
    )


def place(space: Space) -> dict[str, Any]:
    """The groups that state sizes and directions of pixels."""
    return {
        "PixelMeasuresSequence": items(
            {"PixelSpacing": decimals(space.spacing), "SliceThickness": decimals([space.distance])[0]}
        ),
        "PlaneOrientationSequence": items({"ImageOrientationPatient": decimals(space.orientation)}),
    }


def shared_groups(space: Space, kernel: str, event: str) -> Mapping[str, Any]:
    """What all frames of a scan share, by the sequence that it stands in.

    Args:
        space: of the slices.
        kernel: Convolution Kernel.
        event: UID of the irradiation.
    """
    brain = codes.SCT.Brain
    return {
        **place(space),
        "FrameAnatomySequence": items(
            {"FrameLaterality": "U", "AnatomicRegionSequence": code(brain.value, brain.scheme_designator, "Brain")}
        ),
        "FrameVOILUTSequence": items({"WindowCenter": "40", "WindowWidth": "80"}),
        "CTImageFrameTypeSequence": items(
            {
                "FrameType": list(IMAGE_TYPE),
                "PixelPresentation": "MONOCHROME",
                "VolumetricProperties": "VOLUME",
                "VolumeBasedCalculationTechnique": "NONE",
            }
        ),
        "CTAcquisitionTypeSequence": items(
            {"AcquisitionType": "STATIONARY", "ConstantVolumeFlag": "NO", "FluoroscopyFlag": "NO"}
        ),
        "CTAcquisitionDetailsSequence": items(
            {
                "RotationDirection": "CW",
                "RevolutionTime": 0.5,
                "SingleCollimationWidth": 0.5,
                "TotalCollimationWidth": 160.0,
                "TableHeight": 150.0,
                "GantryDetectorTilt": decimals([round(space.gantry_tilt, 6)])[0],
                "DataCollectionDiameter": "320",
            }
        ),
        "CTTableDynamicsSequence": items({}),
        "IrradiationEventIdentificationSequence": items({"IrradiationEventUID": event}),
        "CTGeometrySequence": items(
            {"DistanceSourceToDetector": "1072", "DistanceSourceToDataCollectionCenter": 600.0}
        ),
        "CTReconstructionSequence": items(
            {
                "ReconstructionAlgorithm": "FILTER_BACK_PROJ",
                "ConvolutionKernel": kernel,
                "ConvolutionKernelGroup": "BRAIN",
                "ReconstructionDiameter": "240",
                "ReconstructionPixelSpacing": [float(value) for value in space.spacing],
                "ReconstructionAngle": 360.0,
                "ImageFilter": "SMOOTH",
            }
        ),
        "CTExposureSequence": items(
            {
                "ExposureTimeInms": 500.0,
                "XRayTubeCurrentInmA": 150.0,
                "ExposureInmAs": 75.0,
                "ExposureModulationType": "NONE",
                "CTDIvol": 10.0,
                "CTDIPhantomTypeCodeSequence": code("113690", "DCM", "IEC Head Dosimetry Phantom"),
            }
        ),
        "CTXRayDetailsSequence": items(
            {"KVP": "80", "FocalSpots": [0.9], "FilterType": "WEDGE", "FilterMaterial": ["ALUMINUM"]}
        ),
    }


def value_mapping(
    quantity: Quantity, slope: float, last: float, *, dcm: str = "", unit: str = "", label: str = ""
) -> dict[str, Any]:
    """An item of Real World Value Mapping Sequence (PS3.3 C.7.6.16.2.11) for stored values from 0 on.

    Args:
        quantity: that the values are of.
        slope: from stored to real values.
        last: largest stored value; a float where pixels are.
        dcm: another code of the quantity.
        unit: another one of the real values.
        label: another one.
    """
    ends = "RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"
    if isinstance(last, float):
        ends = "DoubleFloatRealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueLastValueMapped"
    unit = unit or quantity.unit
    return {
        ends[0]: type(last)(0),
        ends[1]: last,
        "RealWorldValueIntercept": 0.0,
        "RealWorldValueSlope": slope,
        "LUTLabel": label or quantity.label,
        "LUTExplanation": quantity.meaning,
        "MeasurementUnitsCodeSequence": code(unit, "UCUM", unit),
        "QuantityDefinitionSequence": items(
            {
                "ValueType": "CODE",
                "ConceptNameCodeSequence": code("246205007", "SCT", "Quantity"),
                "ConceptCodeSequence": code(dcm or quantity.dcm, "DCM", quantity.meaning),
            }
        ),
    }
