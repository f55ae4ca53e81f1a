"""Images: CT as one file an image (CT Image Storage, PS3.3 A.3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.headers import Identity, decimals
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.syntaxes import pack
from ctpdeploy.phantom.dicom.template import Template

__all__ = ["Image", "write_images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """What an image has for itself.

    Attributes:
        word: for it within the study, of which its UID is made.
        k: index of its slice.
        stored: pixels ``(J, I)``, int16 or uint16.
        elements: others, by their keywords, Instance Number among them.
    """

    word: str
    k: int
    stored: NDArray[Any]
    elements: Mapping[str, Any]


def write_images(
    disc: Disc, identity: Identity, header: Dataset, space: Space, pixels: Pixels, images: Iterable[Image]
) -> list[Path]:
    """Write the images of a series, whose header is that of all; their paths."""
    template, paths = Template(header), []
    for image in images:
        position = space.position(image.k)
        uid = identity.uid(image.word)
        elements = {
            "SOPInstanceUID": uid,
            "ImagePositionPatient": decimals(position),
            "SliceLocation": decimals([round(float(position @ space.normal), 6)])[0],
            **image.elements,
        }
        content = template.fill(elements, pack([image.stored], pixels, header.file_meta.TransferSyntaxUID))
        number = int(elements.get("SeriesNumber", header.SeriesNumber))
        paths.append(disc.write(content, series=number, image=int(elements["InstanceNumber"]), uid=uid))
    return paths
