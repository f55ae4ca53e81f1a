"""Layouts: how the images of a dynamic scan reach an archive, as data."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from ctpdeploy.errors import UnknownKeyError
from ctpdeploy.optional import require
from ctpdeploy.phantom.dicom.makers import CANON, GE, PHILIPS, PLAIN, SIEMENS, UNITED, Maker
from ctpdeploy.phantom.dicom.map_styles import (
    CANON_MAPS,
    COLOUR_MAPS,
    GE_MAPS,
    MAPPED,
    PARAMETRIC,
    PHILIPS_MAPS,
    SIEMENS_MAPS,
    UIH_MAPS,
    MapStyle,
)
from ctpdeploy.phantom.dicom.pixels import Pixels

__all__ = ["LAYOUTS", "Clock", "StudyLayout", "require_layout"]

Clock = Literal[
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
]
"""The element that states when an image was taken, by its keyword; all others state something else or nothing.
``AcquisitionTime`` and ``ContentTime`` come with their dates."""


@dataclass(frozen=True, kw_only=True)
class StudyLayout:
    """A layout.

    Attributes:
        summary: one line for who chooses among layouts.
        clock: that states the times.
        maker: whose habits the headers follow.
        pixels: how HU are stored; the maker's way if None.
        order: of Instance Number: phase by phase, slice by slice, or at random.
        files: what is one file: an image, or of Enhanced CT a volume or the whole scan.
        series_a_phase: whether every phase is a series of its own.
        table: ``"still"``, going to and fro between the ``"two"`` halves of the slices, or through all of them while
            it turns, a ``"spiral"``; the latter two take slices at times of their own.
        sparse_after: seconds after which only every third frame is taken; None for all.
        slabs: number of scans, one above the other, each with its own injection.
        start: time of day of the first image, ``HHMMSS``.
        tilt: of the gantry in degrees, given to slices that lie straight above each other.
        first_index: number of the first phase where phases are numbered.
        rescales: slopes and intercepts that the frames of an enhanced image have in turns; that of all if empty.
        copies: number of files that are there twice.
        syntax: transfer syntax, a key of ``SYNTAXES``.
        parametric_maps: whether maps are Parametric Maps, in floating point, and not CT images with a mapping to real
            world values.
        maps: another way of writing them.
    """

    summary: str
    clock: Clock
    maker: Maker = PLAIN
    pixels: Pixels | None = None
    order: Literal["phase", "slice", "random"] = "phase"
    files: Literal["image", "volume", "scan"] = "image"
    series_a_phase: bool = False
    table: Literal["still", "two", "spiral"] = "still"
    sparse_after: float | None = None
    slabs: int = 1
    start: str = "101500"
    tilt: float = 0.0
    first_index: int = 1
    rescales: tuple[tuple[float, float], ...] = ()
    copies: int = 0
    syntax: str = "explicit"
    parametric_maps: bool = False
    maps: MapStyle | None = None

    @property
    def map_style(self) -> MapStyle:
        """How maps are written."""
        return self.maps or (PARAMETRIC if self.parametric_maps else MAPPED)

    @property
    def stored(self) -> Pixels:
        """How HU are stored."""
        return self.pixels or self.maker.pixels

    @property
    def stored_frames(self) -> tuple[Pixels, ...]:
        """How frames are stored, in turns."""
        own = (replace(self.stored, slope=slope, intercept=intercept) for slope, intercept in self.rescales)
        return tuple(own) or (self.stored,)


_DATED: Final = StudyLayout(
    summary="one series, images in any order, AcquisitionDateTime", clock="AcquisitionDateTime", order="random"
)
_TWELVE_BITS: Final = Pixels(signed=False, bits=12, intercept=-1024.0)

LAYOUTS: Final[dict[str, StudyLayout]] = {
    "one-series": _DATED,
    "acquisition-time": StudyLayout(
        summary="AcquisitionDate and AcquisitionTime, phase by phase", clock="AcquisitionTime", pixels=_TWELVE_BITS
    ),
    "midnight": StudyLayout(
        summary="the same over midnight, slice by slice", clock="AcquisitionTime", order="slice", start="235950"
    ),
    "content-time": StudyLayout(
        summary="ContentDate and ContentTime; AcquisitionTime is that of the scan's begin", clock="ContentTime"
    ),
    "trigger-time": StudyLayout(
        summary="TriggerTime in ms; ContentTime is the reconstruction's", clock="TriggerTime", order="random"
    ),
    "temporal-position": StudyLayout(
        summary="TemporalPositionIdentifier and TemporalResolution",
        clock="TemporalPositionIdentifier",
        order="random",
    ),
    "series-a-phase": StudyLayout(
        summary="every phase a series of its own, slope 0.5 (as UIH)",
        clock="AcquisitionTime",
        maker=UNITED,
        series_a_phase=True,
    ),
    "ge-cine": StudyLayout(
        summary="axial cine, slice by slice, padding outside the field of view (as GE)",
        clock="AcquisitionTime",
        maker=GE,
        order="slice",
    ),
    "ge-shuttle": StudyLayout(
        summary="the table between two positions, each at times of its own (as GE)",
        clock="AcquisitionTime",
        maker=GE,
        table="two",
    ),
    "siemens-spiral": StudyLayout(
        summary="4D spiral: every slice at a time of its own, to and fro; 12 bits (as Siemens)",
        clock="AcquisitionTime",
        maker=SIEMENS,
        table="spiral",
    ),
    "philips-jog": StudyLayout(
        summary="two positions in one series, TriggerTime and TemporalPositionIdentifier (as Philips)",
        clock="TriggerTime",
        maker=PHILIPS,
        order="slice",
        table="two",
    ),
    "canon-volumes": StudyLayout(
        summary="Enhanced CT, a file a volume, TemporalPositionIndex from 5 on (as Canon)",
        clock="FrameAcquisitionDateTime",
        maker=CANON,
        files="volume",
        first_index=5,
    ),
    "enhanced": StudyLayout(
        summary="Enhanced CT, one file, frames in any order, each with a rescale of its own",
        clock="FrameAcquisitionDateTime",
        order="random",
        files="scan",
        rescales=((1.0, 0.0), (0.5, -10.0), (0.25, 100.0), (1.0, -1024.0)),
        parametric_maps=True,
    ),
    "enhanced-reference": StudyLayout(
        summary="Enhanced CT, a file a volume, FrameReferenceDateTime",
        clock="FrameReferenceDateTime",
        order="random",
        files="volume",
    ),
    "uneven": replace(_DATED, summary="a frame each time at first, then every third", sparse_after=20.0),
    "tilt": replace(_DATED, summary="a tilted gantry: slices on a slant", tilt=15.0, pixels=Pixels(padding=-2000)),
    "two-slabs": replace(_DATED, summary="two slabs, a scan each, in one study", slabs=2),
    "copies": replace(_DATED, summary="some files twice", copies=7),
    "signed-12-bits": replace(
        _DATED, summary="12 bits with a sign, slope 1, intercept 1024", pixels=Pixels(bits=12, intercept=1024.0)
    ),
    "implicit": replace(_DATED, summary="Implicit VR Little Endian", syntax="implicit"),
    "jpeg-lossless": replace(_DATED, summary="JPEG lossless (.70)", syntax="jpeg-lossless", pixels=_TWELVE_BITS),
    "jpeg-ls": replace(_DATED, summary="JPEG-LS lossless (.80)", syntax="jpeg-ls"),
    "jpeg-2000": replace(_DATED, summary="JPEG 2000 lossless (.90)", syntax="jpeg-2000"),
    "rle": replace(_DATED, summary="RLE lossless", syntax="rle"),
    "ge-maps": replace(_DATED, summary="maps as CT whose rescale has a unit, no codes (as GE)", maker=GE, maps=GE_MAPS),
    "siemens-maps": replace(
        _DATED,
        summary="maps as CT of 12 bits, mapped to ms and ml/100ml (as Siemens)",
        maker=SIEMENS,
        maps=SIEMENS_MAPS,
    ),
    "canon-maps": replace(
        _DATED, summary="all maps in one Enhanced CT, a scale each (as Canon)", maker=CANON, maps=CANON_MAPS
    ),
    "philips-maps": replace(
        _DATED, summary="maps as Parametric Maps of 16 bits (as Philips)", maker=PHILIPS, maps=PHILIPS_MAPS
    ),
    "uih-maps": replace(_DATED, summary="maps as Parametric Maps of float64 (as UIH)", maker=UNITED, maps=UIH_MAPS),
    "colour-maps": replace(_DATED, summary="maps in colours alone", maps=COLOUR_MAPS),
}
"""All layouts by name. One more is one more entry."""


def require_layout(name: str) -> StudyLayout:
    """The layout of a name.

    Raises:
        UnknownKeyError: there is none.
        MissingPackageError: pydicom is not installed.
    """
    if name not in LAYOUTS:
        raise UnknownKeyError(name, LAYOUTS, "the layouts of studies")
    require("pydicom", extra="dicom")
    return LAYOUTS[name]
