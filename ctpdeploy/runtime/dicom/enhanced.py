"""Enhanced CT: many planes in one file, each with functional groups of its own (PS3.3 A.38, C.7.6.16).

Whatever a frame states for itself is taken before what all share, the rescale among it: pydicom's ``apply_rescale``
looks in neither place (pydicom issue 2353).
"""

from collections.abc import Iterator
from typing import Any

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.dicom.header import Header
from ctpdeploy.runtime.dicom.plane import Plane, storage_of
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom
from ctpdeploy.runtime.dicom.tags import Tag

__all__ = ["enhanced_planes", "frame_types", "macro"]

_CONTENT = ("FrameAcquisitionDateTime", "FrameReferenceDateTime", "TemporalPositionIndex")


def enhanced_planes(header: Header) -> tuple[list[Plane], tuple[str, ...]]:
    """The planes of a multi-frame file in the order of its frames, and the image type of the first.

    Raises:
        InputError: the file cannot be read, or its frames are not described.
        MissingPackageError: pydicom is not installed.
    """
    try:
        with header.file.open("rb") as stream:
            dataset = pydicom().dcmread(stream, stop_before_pixels=True)
        shared = dataset.get("SharedFunctionalGroupsSequence") or [None]
        frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
        count = int(dataset.get("NumberOfFrames", 1))
        if len(frames) != count:
            raise InputError(f"{header.file} describes {len(frames)} of its {count} frames: send it again.")
        planes = list(_planes(header, shared[0], frames))
        return planes, frame_types(shared[0], frames[0] if frames else None) or header.words(Tag.IMAGE_TYPE)
    except (InputError, MissingPackageError):
        raise
    except Exception as error:
        raise InputError(f"{header.file} is no readable enhanced image ({error}): send it again.") from error


def frame_types(*groups: Any) -> tuple[str, ...]:  # noqa: ANN401  pydicom's datasets
    """FrameType of a frame, empty where none of its groups states one."""
    found = macro("CTImageFrameTypeSequence", *groups)
    return tuple(map(str, found.FrameType)) if found is not None and "FrameType" in found else ()


def _planes(header: Header, shared: Any, frames: Any) -> Iterator[Plane]:  # noqa: ANN401
    storage = storage_of(header)
    size = storage.rows * storage.columns * storage.samples * storage.allocated // 8
    whole = {
        tag.name: text
        for tag in (Tag.ACQUISITION_DATE_TIME, Tag.ACQUISITION_DATE, Tag.ACQUISITION_TIME)
        if (text := header.text(tag))
    }
    for index, frame in enumerate(frames):
        groups = (frame, shared)
        place = macro("PlanePositionSequence", *groups)
        plane = macro("PlaneOrientationSequence", *groups)
        measures = macro("PixelMeasuresSequence", *groups)
        values = macro("PixelValueTransformationSequence", *groups)
        content = macro("FrameContentSequence", *groups)
        own = {
            keyword: str(content[keyword].value)
            for keyword in _CONTENT
            if content is not None and keyword in content and content[keyword].value not in (None, "")
        }
        yield Plane(
            file=header.file,
            index=index,
            instance=header.text(Tag.SOP_INSTANCE),
            position=_floats(place, "ImagePositionPatient"),
            orientation=_floats(plane, "ImageOrientationPatient"),
            spacing=_floats(measures, "PixelSpacing"),
            thickness=(*_floats(measures, "SliceThickness"), 0.0)[0],
            frame_of_reference=header.text(Tag.FRAME_OF_REFERENCE),
            slope=(*_floats(values, "RescaleSlope"), 1.0)[0],
            intercept=(*_floats(values, "RescaleIntercept"), 0.0)[0],
            storage=storage,
            pixels_at=None if header.pixels_at is None else header.pixels_at + index * size,
            clocks={**whole, **{_NAMES[keyword]: text for keyword, text in own.items()}},
        )


_NAMES = {
    "FrameAcquisitionDateTime": "FRAME_ACQUISITION_DATE_TIME",
    "FrameReferenceDateTime": "FRAME_REFERENCE_DATE_TIME",
    "TemporalPositionIndex": "TEMPORAL_POSITION",
}


def macro(name: str, *groups: Any) -> Any:  # noqa: ANN401
    """A functional group of a frame, its own before the shared one; None where there is neither."""
    for group in groups:
        if group is not None and name in group and len(group[name].value):
            return group[name].value[0]
    return None


def _floats(macro: Any, keyword: str) -> tuple[float, ...]:  # noqa: ANN401
    if macro is None or keyword not in macro or macro[keyword].value is None:
        return ()
    value = macro[keyword].value
    return tuple(map(float, value)) if hasattr(value, "__iter__") else (float(value),)
