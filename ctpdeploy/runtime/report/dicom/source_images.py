"""Source images: the slices of one point in time that results lie on, and the headers they are made to go with.

A library that makes objects reads a good deal from the headers of their sources, and refuses those that lack an element
or have one that it cannot parse. It is given stand-ins: classic images with places and nothing of a patient, whatever
the sources are. What has to be the patient's is put in afterwards, and references to a stand-in become references to
what it stands for.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.dicom.enhanced import macro
from ctpdeploy.runtime.report.dicom.identity import TYPE_2

__all__ = ["SourceImages"]

_LONGEST_DECIMAL: Final = 16
_EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True, kw_only=True)
class _Image:
    """What a stand-in stands for: an instance, and the number of its frame from 1 where it has several."""

    sop_class: str
    instance: str
    frame: int | None


class SourceImages:
    """The images of a source's first phase.

    Args:
        source: with its first phase.

    Attributes:
        header: of the first of them, without pixels.
        stand_ins: an image header each, in the order of the source's last axis.
        distance: from slice to slice along their normal in mm.

    Raises:
        InputError: a file cannot be read any more.
    """

    def __init__(self, source: DicomSource) -> None:
        headers: dict[str, Dataset] = {}
        self.stand_ins: list[Dataset] = []
        self._images: dict[str, _Image] = {}
        for file, index in source.first_phase:
            header = headers.get(str(file))
            if header is None:
                try:
                    with file.open("rb") as stream:
                        header = headers[str(file)] = dcmread(stream, stop_before_pixels=True)
                except OSError as error:
                    raise InputError(f"{file} cannot be read any more ({error.strerror}): run it again.") from error
            frames = header.get("PerFrameFunctionalGroupsSequence")
            image = _Image(
                sop_class=str(header.SOPClassUID),
                instance=str(header.SOPInstanceUID),
                frame=index + 1 if frames else None,
            )
            uid = generate_uid(entropy_srcs=[f"{image.instance}/{index}"]) if frames else image.instance
            self._images[uid] = image
            self.stand_ins.append(_stand_in(header, index, uid))
        self.header = next(iter(headers.values()))
        self.distance = _distance(self.stand_ins)

    def restore(self, data: Dataset, *, listed: bool = False) -> None:
        """Turn references to stand-ins into references to what they stand for, in place.

        Args:
            data: an object, or an item in one.
            listed: whether instances are only listed there, each once and without frames (PS3.3 C.12.2, C.17.2.3).
        """
        for element in data:
            if element.VR != "SQ":
                continue
            within = listed or element.keyword == "ReferencedSeriesSequence"
            found: dict[object, Dataset] = {}
            for number, item in enumerate(element.value):
                image = self._images.get(str(item.get("ReferencedSOPInstanceUID", "")))
                if image is None or image.frame is None:
                    self.restore(item, listed=within)
                    found[number] = item
                else:
                    key = (image.instance, None if within else image.frame)
                    found[key] = _referring(item, image, with_frame=not within)
            if any(isinstance(key, tuple) for key in found):
                element.value = list(found.values())


def _referring(item: Dataset, image: _Image, *, with_frame: bool) -> Dataset:
    """A copy of an item, since objects share them, that refers to an image."""
    item = deepcopy(item)
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.sop_class, image.instance
    if with_frame:
        item.ReferencedFrameNumber = image.frame
    return item


def _stand_in(header: Dataset, index: int, uid: str) -> Dataset:
    """A classic image in the place of one of a header's, without a patient."""
    frames = header.get("PerFrameFunctionalGroupsSequence")
    groups = (frames[index], header.SharedFunctionalGroupsSequence[0]) if frames else ()
    place, plane, measures = (
        (macro(f"{name}Sequence", *groups) if frames else header)
        for name in ("PlanePosition", "PlaneOrientation", "PixelMeasures")
    )
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, uid
    data.StudyInstanceUID, data.SeriesInstanceUID = header.StudyInstanceUID, header.SeriesInstanceUID
    # a series without one is a space of its own; objects have to name it
    data.FrameOfReferenceUID = header.get("FrameOfReferenceUID") or generate_uid(
        entropy_srcs=[f"{header.SeriesInstanceUID}/space"]
    )
    data.Modality, data.Rows, data.Columns = "CT", header.Rows, header.Columns
    data.ImagePositionPatient = _decimals(place.ImagePositionPatient)
    data.ImageOrientationPatient = _decimals(plane.ImageOrientationPatient)
    data.PixelSpacing = _decimals(measures.PixelSpacing)
    if measures.get("SliceThickness") is not None:
        data.SliceThickness = _decimals([measures.SliceThickness])[0]
    for keyword in (*_EQUIPMENT, *_LOSSY):
        if header.get(keyword):
            data[keyword] = header[keyword]
    for keyword in TYPE_2:
        setattr(data, keyword, "")
    return data


def _decimals(values: Iterable[Any]) -> list[str]:
    """Numbers as they are written in a header, of at most 16 characters."""
    texts = [(str(value), value) for value in values]
    return [text if len(text) <= _LONGEST_DECIMAL else format_number_as_ds(float(value)) for text, value in texts]


def _distance(images: Sequence[Dataset]) -> float:
    """From one to the next along their normal in mm, 0 of a single one."""
    first, last = images[0], images[-1]
    along = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    step = np.array(last.ImagePositionPatient, float) - np.array(first.ImagePositionPatient, float)
    return abs(float(np.cross(*along) @ step)) / max(len(images) - 1, 1)
