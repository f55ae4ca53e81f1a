"""Series: the instances of one Series Instance UID, or of several that are one scan."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.enhanced import enhanced_planes
from ctpdeploy.runtime.dicom.header import File, Header
from ctpdeploy.runtime.dicom.plane import Plane, classic_plane
from ctpdeploy.runtime.dicom.tags import ENHANCED_CT, PARAMETRIC_MAP, Tag

__all__ = ["Series", "group_series", "join_phases"]

_LEAST_PHASES: Final = 8
"""Series of one volume each that lie on each other, from which on they are the phases of one scan."""

_OF_TWO: Final = "have different patient IDs, or names where they have none: send those of one patient"


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """A series of a study.

    Attributes:
        uids: Series Instance UIDs; several where each phase has one.
        study: Study Instance UID.
        patient: whose it is, as far as its first file tells.
        number: of the series, as a text; empty where it has none.
        description: of the series.
        modality: ``"CT"`` and others of PS3.3 C.7.3.1.1.1.
        maker: of the scanner.
        model: likewise.
        sop_class: UID of the class of its instances.
        image_type: values of Image Type of its first instance.
        files: all of them.
        planes: of its images, in the order of their files; empty where they are no images.
        missing: number of its files that are not there, as far as their numbers tell; 0 where they do not.
        fault: why it cannot be read, one sentence; empty where nothing is known against it.
    """

    uids: tuple[str, ...]
    study: str
    patient: str = field(repr=False)
    number: str
    description: str
    modality: str
    maker: str
    model: str
    sop_class: str
    image_type: tuple[str, ...]
    files: tuple[File, ...] = field(repr=False)
    planes: tuple[Plane, ...] = field(repr=False)
    missing: int = 0
    fault: str = ""

    @property
    def called(self) -> str:
        """Words for it in sentences, without the name of a patient."""
        return f"series {self.number or self.uids[0]}"


def group_series(headers: Iterable[Header]) -> list[Series]:
    """The series that some files belong to, in the order of their numbers.

    A file that should hold images and cannot be understood makes its series one at fault.
    """
    held: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        held.setdefault((header.text(Tag.STUDY), header.text(Tag.SERIES)), []).append(header)
    return sorted((_series(those) for those in held.values()), key=_order)


def _series(headers: Sequence[Header]) -> Series:
    first, planes, fault = headers[0], list[Plane](), ""
    if len({_patient(header) for header in headers}) > 1:
        fault = f"images of {first.text(Tag.SERIES)} {_OF_TWO}"
    image_type = first.words(Tag.IMAGE_TYPE)
    for header in headers:
        try:
            if header.text(Tag.SOP_CLASS) in (ENHANCED_CT, PARAMETRIC_MAP):
                found, image_type = enhanced_planes(header)
                planes += found
            elif header.values.get(Tag.ROWS):
                planes.append(classic_plane(header))
        except InputError as error:
            fault = str(error)
    if planes and (empty := [header for header in headers if not header.values.get(Tag.ROWS)]):
        fault = f"{empty[0].file} is of this series and holds no image"
    return Series(
        uids=(first.text(Tag.SERIES),),
        study=first.text(Tag.STUDY),
        patient=_patient(first),
        number=first.text(Tag.SERIES_NUMBER),
        description=first.text(Tag.SERIES_DESCRIPTION),
        modality=first.text(Tag.MODALITY),
        maker=first.text(Tag.MANUFACTURER),
        model=first.text(Tag.MODEL),
        sop_class=first.text(Tag.SOP_CLASS),
        image_type=image_type,
        files=tuple(header.file for header in headers),
        planes=tuple(planes),
        missing=_missing(headers),
        fault=fault,
    )


def _patient(header: Header) -> str:
    """The ID of a patient, or the name of one without."""
    return header.text(Tag.PATIENT_ID) or header.text(Tag.PATIENT_NAME).casefold().rstrip("^= ")


def _missing(headers: Sequence[Header]) -> int:
    """Files that are not there, of a series whose instances are numbered from 1 on, each once or as its copy."""
    named = {header.text(Tag.SOP_INSTANCE): header.text(Tag.INSTANCE_NUMBER) for header in headers}
    if not all(number.isdecimal() for number in named.values()):
        return 0
    numbers = [int(number) for number in named.values()]
    return max(numbers) - len(numbers) if len(set(numbers)) == len(numbers) and min(numbers) > 0 else 0


def _order(series: Series) -> tuple[int, str]:
    return int(series.number) if series.number.isdecimal() else 2**31, series.uids[0]


def join_phases(series: Sequence[Series]) -> list[Series]:
    """The series, those of one volume each that lie on each other made one.

    Scanners and archives send a dynamic scan also as a series a phase. What is joined agrees in the frame of reference
    and in all places of its slices; whether its times make sense is judged as for any other. Phases of two patients are
    one series at fault.
    """
    alike: dict[object, list[Series]] = {}
    for one in series:
        alike.setdefault(_volume_key(one) or one.uids, []).append(one)
    joined = []
    for group in alike.values():
        if len(group) < _LEAST_PHASES:
            joined += group
            continue
        joined.append(
            replace(
                group[0],
                uids=tuple(uid for one in group for uid in one.uids),
                files=tuple(file for one in group for file in one.files),
                missing=sum(one.missing for one in group),
                planes=tuple(plane for one in group for plane in one.planes),
                fault=f"its phases {_OF_TWO}" if len({one.patient for one in group}) > 1 else "",
            )
        )
    return sorted(joined, key=_order)


def _volume_key(series: Series) -> object:
    """What phases of one scan have in common; None of a series that is not one volume."""
    planes = series.planes
    if series.fault or len(planes) < 2 or not all(plane.placed for plane in planes):
        return None
    places = {(*[round(x, 1) for x in plane.position], *plane.directions) for plane in planes}
    if len(places) != len(planes):
        return None
    first = planes[0]
    grid = (first.storage.rows, first.storage.columns, *np.round(first.spacing, 4), first.thickness)
    words = re.sub(r"\d+", "", series.description)  # phases are numbered, a plain CT is called something else
    return (series.study, series.modality, words, series.image_type, first.frame_of_reference, grid, frozenset(places))
