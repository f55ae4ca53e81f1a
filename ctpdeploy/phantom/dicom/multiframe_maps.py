"""Maps of many frames: Parametric Maps, a quantity each (PS3.3 A.75), and Enhanced CT of all quantities (A.38)."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, ParametricMapStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.groups import describe_frames, items, place, shared_groups, value_mapping
from ctpdeploy.phantom.dicom.headers import Identity, decimals, describe_pixels, new_object
from ctpdeploy.phantom.dicom.map_styles import MapStyle, stored_numbers
from ctpdeploy.phantom.dicom.quantities import QUANTITIES
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.timing import moment
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["MADE_S", "write_enhanced_maps", "write_parametric_map"]

MADE_S: Final = 900.0
"""From the begin of a study to its maps."""

FRAME_TYPE: Final = ("DERIVED", "PRIMARY", "VOLUME", "NONE")


def write_parametric_map(
    disc: Disc, identity: Identity, space: Space, name: str, values: FloatArray, style: MapStyle, number: int
) -> dict[str, str]:
    """Write a map ``(K, J, I)``; its kind by the UID of its series."""
    quantity, label, made = QUANTITIES[name], style.label(name), moment(identity.start, MADE_S)
    word, (unit, times) = f"map {quantity.label}", style.unit(name)
    description = style.description.format(label=label)
    data = new_object(identity, ParametricMapStorage, word, modality="CT", number=number, description=description)
    data.SOPInstanceUID, data.InstanceNumber = identity.uid(word, "file"), 1
    data.ContentDate, data.ContentTime = made.date, made.time
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = quantity.label, quantity.meaning, ""
    data.RecognizableVisualFeatures = "NO"
    describe_frames(data, identity, FRAME_TYPE)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.NumberOfFrames, data.Rows, data.Columns = values.shape
    slope, last = 1.0, float((values * times).max())
    pixels = b""
    if style.encoding == "integers":
        slope, last = style.slope(name), style.pixels.limits[1]
        describe_pixels(data, style.pixels, *values.shape[1:])
        del data.RescaleSlope, data.RescaleIntercept, data.RescaleType
        pixels = stored_numbers(values, name, style).tobytes()
    elif style.encoding == "double":
        data.BitsAllocated = 64
        data.DoubleFloatPixelData = (values * times).astype("<f8").tobytes()
    else:
        data.BitsAllocated = 32
        data.FloatPixelData = (values * times).astype("<f4").tobytes()
        last = float((values * times).astype("<f4").max())
    mapping = value_mapping(quantity, slope, last, dcm=style.codes.get(name, ""), unit=unit, label=label)
    data.SharedFunctionalGroupsSequence = items(
        {
            **place(space),
            "FrameVOILUTSequence": items({"WindowCenter": "50", "WindowWidth": "100"}),
            "PixelValueTransformationSequence": items(
                {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}
            ),
            "ParametricMapFrameTypeSequence": items({"FrameType": list(FRAME_TYPE)}),
            "RealWorldValueMappingSequence": items(mapping),
        }
    )
    data.PerFrameFunctionalGroupsSequence = items(*(_where(space, k, 1) for k in range(len(values))))
    disc.put(data, pixels)
    return {identity.uid(word): "map"}


def _where(space: Space, k: int, index: int) -> dict[str, Any]:
    """The groups that say which frame this is."""
    return {
        "FrameContentSequence": items(
            {
                "StackID": "1",
                "InStackPositionNumber": k + 1,
                "TemporalPositionIndex": index,
                "DimensionIndexValues": [index, k + 1],
            }
        ),
        "PlanePositionSequence": items({"ImagePositionPatient": decimals(space.position(k))}),
    }


def write_enhanced_maps(
    disc: Disc, identity: Identity, space: Space, maps: Mapping[str, FloatArray], style: MapStyle, number: int
) -> dict[str, str]:
    """Write maps ``(K, J, I)`` into one image, each frame with a type and a scale of its own."""
    made, word = moment(identity.start, MADE_S), "maps"
    data = new_object(
        identity, EnhancedCTImageStorage, word, modality="CT", number=number, description=style.description
    )
    data.SOPInstanceUID, data.InstanceNumber = identity.uid(word, "file"), 1
    data.AcquisitionDateTime, data.AcquisitionDuration, data.AcquisitionNumber = made.date + made.time, 0.0, 1
    data.ContentDate, data.ContentTime = made.date, made.time
    depth, *size = next(iter(maps.values())).shape
    describe_pixels(data, style.pixels, *size)
    del data.RescaleSlope, data.RescaleIntercept, data.RescaleType
    _describe(data, identity)
    data.NumberOfFrames = depth * len(maps)
    shared = dict(shared_groups(space, identity.maker.kernel, identity.uid(word, "event")))
    del shared["CTImageFrameTypeSequence"]
    data.SharedFunctionalGroupsSequence = items(shared)
    data.PerFrameFunctionalGroupsSequence = items(
        *(_groups(space, k, index, name, style) for index, name in enumerate(maps, start=1) for k in range(depth))
    )
    stored = np.concatenate([stored_numbers(values, name, style) for name, values in maps.items()])
    disc.put(data, stored.tobytes())
    return {identity.uid(word): "map"}


def _describe(data: Dataset, identity: Identity) -> None:
    data.PixelPresentation = "MONOCHROME"
    data.VolumetricProperties, data.VolumeBasedCalculationTechnique = "VOLUME", "NONE"
    describe_frames(data, identity, ("DERIVED", "PRIMARY", "PERFUSION", "MIXED"))


def _groups(space: Space, k: int, index: int, name: str, style: MapStyle) -> dict[str, Any]:
    """The functional groups of a frame of a map."""
    quantity, (unit, _), label = QUANTITIES[name], style.unit(name), style.label(name)
    position, slope = decimals(space.position(k)), style.slope(name)
    return {
        **_where(space, k, index),
        "CTPositionSequence": items(
            {
                "TablePosition": float(position[2]),
                "DataCollectionCenterPatient": [float(value) for value in position],
                "ReconstructionTargetCenterPatient": [float(value) for value in position],
            }
        ),
        "CTImageFrameTypeSequence": items(
            {
                "FrameType": ["DERIVED", "PRIMARY", "PERFUSION", label.upper()],
                "PixelPresentation": "MONOCHROME",
                "VolumetricProperties": "VOLUME",
                "VolumeBasedCalculationTechnique": "NONE",
            }
        ),
        "PixelValueTransformationSequence": items(
            {"RescaleSlope": decimals([slope])[0], "RescaleIntercept": "0", "RescaleType": "HU"}
        ),  # what a validator takes for the only type; the mapping says what the numbers are
        "RealWorldValueMappingSequence": items(
            value_mapping(
                quantity, slope, style.pixels.limits[1], dcm=style.codes.get(name, ""), unit=unit, label=label
            )
        ),
    }
