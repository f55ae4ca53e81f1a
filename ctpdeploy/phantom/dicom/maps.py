"""Maps: perfusion maps as images of numbers, as CT images with a mapping to real world values or as Parametric Maps."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, ParametricMapStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.groups import describe_frames, items, place
from ctpdeploy.phantom.dicom.headers import Identity, decimals, describe_ct, describe_pixels, new_object
from ctpdeploy.phantom.dicom.images import Image, write_images
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.quantities import QUANTITIES, Quantity, value_mapping
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.timing import moment
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_ct_maps", "write_parametric_maps"]

FIRST_NUMBER = 601
"""Of the maps' series."""

PIXELS = Pixels(signed=False, slope=0.01)
"""Maps in hundredths of their units."""


def write_ct_maps(disc: Disc, identity: Identity, space: Space, maps: Mapping[str, FloatArray]) -> dict[str, str]:
    """Write maps ``(K, J, I)`` as derived CT images, a series each; their kind by the UIDs of their series."""
    written = {}
    made = moment(identity.start, 900.0)
    for number, (name, values) in enumerate(maps.items(), FIRST_NUMBER):
        quantity, word = QUANTITIES[name], f"map {name}"
        header = new_object(
            identity, CTImageStorage, word, modality="CT", number=number, description=f"{quantity.label} MAP"
        )
        describe_ct(header, identity, space, ("DERIVED", "PRIMARY", "AXIAL", quantity.label))
        stored = np.clip(np.rint(values / PIXELS.slope), *PIXELS.limits).astype(np.uint16)
        describe_pixels(header, PIXELS, *stored.shape[1:])
        header.RescaleType = "US"
        header.AcquisitionNumber, header.ContentDate, header.ContentTime = 1, made.date, made.time
        header.RealWorldValueMappingSequence = items(value_mapping(quantity, PIXELS.slope, PIXELS.limits[1]))
        images = (
            Image(word=f"{word}/{k}", k=k, stored=image, elements={"InstanceNumber": k + 1})
            for k, image in enumerate(stored)
        )
        write_images(disc, identity, header, space, PIXELS, images)
        written[identity.uid(word)] = "map"
    return written


def write_parametric_maps(
    disc: Disc, identity: Identity, space: Space, maps: Mapping[str, FloatArray]
) -> dict[str, str]:
    """Write maps ``(K, J, I)`` as Parametric Maps in float32, a series each (PS3.3 A.75)."""
    written = {}
    for number, (name, values) in enumerate(maps.items(), FIRST_NUMBER):
        _write_parametric_map(disc, identity, space, QUANTITIES[name], values.astype("<f4"), number)
        written[identity.uid(f"map {QUANTITIES[name].label}")] = "map"
    return written


def _write_parametric_map(
    disc: Disc, identity: Identity, space: Space, quantity: Quantity, values: NDArray[np.float32], number: int
) -> None:
    word, made = f"map {quantity.label}", moment(identity.start, 900.0)
    data = new_object(
        identity, ParametricMapStorage, word, modality="CT", number=number, description=f"{quantity.label} MAP"
    )
    data.SOPInstanceUID, data.InstanceNumber = identity.uid(word, "file"), 1
    data.ContentDate, data.ContentTime = made.date, made.time
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = quantity.label, quantity.meaning, ""
    data.RecognizableVisualFeatures = "NO"
    describe_frames(data, identity, ("DERIVED", "PRIMARY", "VOLUME", "NONE"))
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.NumberOfFrames, data.Rows, data.Columns = values.shape
    data.BitsAllocated = 32
    data.SharedFunctionalGroupsSequence = items(
        {
            **place(space),
            "FrameVOILUTSequence": items({"WindowCenter": "50", "WindowWidth": "100"}),
            "PixelValueTransformationSequence": items(
                {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}
            ),
            "ParametricMapFrameTypeSequence": items({"FrameType": ["DERIVED", "PRIMARY", "VOLUME", "NONE"]}),
            "RealWorldValueMappingSequence": items(value_mapping(quantity, 1.0, float(values.max()))),
        }
    )
    data.PerFrameFunctionalGroupsSequence = items(
        *(
            {
                "FrameContentSequence": items(
                    {
                        "StackID": "1",
                        "InStackPositionNumber": k + 1,
                        "TemporalPositionIndex": 1,
                        "DimensionIndexValues": [1, k + 1],
                    }
                ),
                "PlanePositionSequence": items({"ImagePositionPatient": decimals(space.position(k))}),
            }
            for k in range(len(values))
        )
    )
    data.FloatPixelData = values.tobytes()
    disc.put(data)
