"""Maps: perfusion maps in every style; those of a CT image a slice are written here."""

from collections.abc import Mapping
from typing import Final

from pydicom.uid import CTImageStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.documents import write_colours
from ctpdeploy.phantom.dicom.groups import items, value_mapping
from ctpdeploy.phantom.dicom.headers import Identity, decimals, describe_ct, describe_pixels, new_object
from ctpdeploy.phantom.dicom.images import Image, write_images
from ctpdeploy.phantom.dicom.map_styles import MapStyle, stored_numbers
from ctpdeploy.phantom.dicom.multiframe_maps import MADE_S, write_enhanced_maps, write_parametric_map
from ctpdeploy.phantom.dicom.quantities import QUANTITIES
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.timing import moment
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_maps"]

FIRST_NUMBER: Final = 601
"""Of the maps' series."""


def write_maps(
    disc: Disc, identity: Identity, space: Space, maps: Mapping[str, FloatArray], style: MapStyle
) -> dict[str, str]:
    """Write maps ``(K, J, I)`` by their names; their kind by the UIDs of their series."""
    if style.encoding == "enhanced":
        return write_enhanced_maps(disc, identity, space, maps, style, FIRST_NUMBER) if maps else {}
    written: dict[str, str] = {}
    for number, (name, values) in enumerate(maps.items(), FIRST_NUMBER):
        if style.encoding == "colours":
            description = style.description.format(label=style.label(name))
            written |= write_colours(disc, identity, values, description, word=f"colour {name}", number=number)
        elif style.encoding in ("mapped", "rescaled"):
            written |= _write_ct_map(disc, identity, space, name, values, style, number)
        else:
            written |= write_parametric_map(disc, identity, space, name, values, style, number)
    return written


def _write_ct_map(
    disc: Disc, identity: Identity, space: Space, name: str, values: FloatArray, style: MapStyle, number: int
) -> dict[str, str]:
    """Write a map as derived CT images."""
    word, label, pixels = f"map {name}", style.label(name), style.pixels
    made, (unit, _), slope = moment(identity.start, MADE_S), style.unit(name), style.slope(name)
    description = style.description.format(label=label)
    header = new_object(identity, CTImageStorage, word, modality="CT", number=number, description=description)
    describe_ct(header, identity, space, ("DERIVED", "PRIMARY", "AXIAL", label.upper()))
    stored = stored_numbers(values, name, style)
    describe_pixels(header, pixels, *stored.shape[1:])
    header.RescaleSlope = decimals([slope])[0]
    header.RescaleType = unit if style.encoding == "rescaled" else "US"
    header.AcquisitionNumber, header.ContentDate, header.ContentTime = 1, made.date, made.time
    if style.encoding == "mapped":
        header.RealWorldValueMappingSequence = items(
            value_mapping(QUANTITIES[name], slope, pixels.limits[1], unit=unit, label=label)
        )
    images = (
        Image(word=f"{word}/{k}", k=k, stored=image, elements={"InstanceNumber": k + 1})
        for k, image in enumerate(stored)
    )
    write_images(disc, identity, header, space, pixels, images)
    return {identity.uid(word): "map"}
