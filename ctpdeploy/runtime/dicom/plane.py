"""Plane: one two-dimensional image of a file, where it lies in the patient, when it was taken, and how it is stored.

A file of a classic series holds one plane, an enhanced one many. DICOM calls them frames, a word that here belongs to
the points in time of a series.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.header import File, Header
from ctpdeploy.runtime.dicom.tags import PARAMETRIC_MAP, Tag

__all__ = ["CLOCK_TAGS", "Plane", "Storage", "classic_plane", "storage_of"]

CLOCK_TAGS = (
    Tag.ACQUISITION_DATE_TIME,
    Tag.ACQUISITION_DATE,
    Tag.ACQUISITION_TIME,
    Tag.CONTENT_DATE,
    Tag.CONTENT_TIME,
    Tag.TRIGGER_TIME,
    Tag.TEMPORAL_POSITION,
    Tag.TEMPORAL_RESOLUTION,
)
"""Elements of a classic image from which the time of a plane may be taken."""


_NEEDED = (Tag.ROWS, Tag.COLUMNS, Tag.BITS_ALLOCATED, Tag.BITS_STORED, Tag.SIGNED)
"""Elements of type 1 of every image (PS3.3 C.7.6.3): without them its pixels are guessed."""

_FLOATING: Final = (Tag.ROWS, Tag.COLUMNS, Tag.BITS_ALLOCATED)
"""Those of pixels in floating point (C.7.6.24), which only a Parametric Map has."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How the pixels of a file are stored; one object for all files alike.

    Attributes:
        syntax: UID of the transfer syntax.
        rows: of a plane.
        columns: of a plane.
        samples: a pixel, 1 of an image in grey.
        photometric: interpretation, ``"MONOCHROME2"`` of CT.
        allocated: bits a sample takes.
        stored: bits of it that are used, the lowest.
        signed: whether they are a signed number.
        padding: least and greatest stored value of pixels outside the field of view, where stated.
    """

    syntax: str
    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    signed: bool
    padding: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One image.

    Attributes:
        file: it lies in.
        index: of the plane in the file, from 0.
        instance: SOP Instance UID of the file.
        position: of the centre of its first pixel in the patient (x to the left, y to the back, z to the head), mm.
        orientation: direction in which columns are counted, then rows, six cosines.
        spacing: of rows, and of columns, in mm.
        thickness: of the slice in mm; 0 where it is not stated.
        frame_of_reference: UID of the space of the position.
        slope: HU a stored unit.
        intercept: HU of a stored 0.
        storage: of the pixels.
        pixels_at: offset in the file of the plane's first byte, where its pixels are not compressed.
        clocks: values of elements that state its time, as they are written, by their keywords.
    """

    file: File
    index: int
    instance: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float
    frame_of_reference: str
    slope: float
    intercept: float
    storage: Storage
    pixels_at: int | None
    clocks: Mapping[str, str]

    @property
    def placed(self) -> bool:
        """Whether it states where it lies, in numbers that can be."""
        numbers = (*self.position, *self.orientation, *self.spacing)
        whole = (len(self.position), len(self.orientation), len(self.spacing)) == (3, 6, 2)
        return whole and all(map(isfinite, numbers)) and min(self.spacing) > 0

    @property
    def directions(self) -> tuple[float, ...]:
        """The orientation to a thousandth, so that rounding in headers tells no planes apart."""
        return tuple([round(cosine, 3) for cosine in self.orientation])  # NumPy takes ten times as long for six


def storage_of(header: Header) -> Storage:
    """The storage that a header states.

    Raises:
        InputError: it leaves open, or contradicts itself on, how a pixel is to be read.
    """
    floating = header.text(Tag.SOP_CLASS) == PARAMETRIC_MAP and not header.values.get(Tag.BITS_STORED)
    needed = _FLOATING if floating else _NEEDED
    missing = [tag for tag in needed if not header.values.get(tag) or (tag != Tag.SIGNED and not header.integer(tag))]
    if missing:
        raise InputError(f"{header.file} does not state {missing[0].name.lower().replace('_', ' ')} of its pixels.")
    stored = header.integer(Tag.BITS_ALLOCATED if floating else Tag.BITS_STORED)
    highest = header.integer(Tag.HIGH_BIT, stored - 1)
    if highest != stored - 1:  # as PS3.5 section 8.1.1 has it; else nobody knows which bits are the value's
        raise InputError(f"{header.file} states {stored} bits a pixel and bit {highest} as the highest: send it again.")
    padding = None
    if header.values.get(Tag.PADDING):
        first = header.integer(Tag.PADDING)
        padding = tuple(sorted((first, header.integer(Tag.PADDING_LIMIT, first))))
    storage = Storage(
        syntax=header.syntax,
        rows=header.integer(Tag.ROWS),
        columns=header.integer(Tag.COLUMNS),
        samples=header.integer(Tag.SAMPLES, 1),
        photometric=header.text(Tag.PHOTOMETRIC),
        allocated=header.integer(Tag.BITS_ALLOCATED),
        stored=stored,
        signed=floating or bool(header.integer(Tag.SIGNED)),
        padding=padding,  # type: ignore[arg-type]  # two numbers
    )
    _require_length(header, storage)
    return storage


def _require_length(header: Header, storage: Storage) -> None:
    """Refuse grey pixels that are more or fewer than their header describes, where they lie open.

    Raises:
        InputError: they are.
    """
    if header.pixels_at is None or storage.samples != 1:
        return
    frames = int((*header.numbers(Tag.FRAMES), 1)[0])
    described = -(-frames * storage.rows * storage.columns * storage.allocated // 8)
    if header.pixels_length not in (described, described + described % 2):
        raise InputError(
            f"{header.file} holds {header.pixels_length} bytes of pixels, and its header describes {described}: send "
            "it again."
        )


def classic_plane(header: Header) -> Plane:
    """The plane of a file that holds one.

    Raises:
        InputError: as :func:`storage_of`.
    """
    clocks = {tag.name: text for tag in CLOCK_TAGS if (text := header.text(tag))}
    slope, intercept = header.numbers(Tag.SLOPE), header.numbers(Tag.INTERCEPT)
    thickness = header.numbers(Tag.SLICE_THICKNESS)
    return Plane(
        file=header.file,
        index=0,
        instance=header.text(Tag.SOP_INSTANCE),
        position=header.numbers(Tag.POSITION),
        orientation=header.numbers(Tag.ORIENTATION),
        spacing=header.numbers(Tag.PIXEL_SPACING),
        thickness=thickness[0] if thickness else 0.0,
        frame_of_reference=header.text(Tag.FRAME_OF_REFERENCE),
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        storage=storage_of(header),
        pixels_at=header.pixels_at,
        clocks=clocks,
    )
