"""Kinds: what a series is, by rules in their order, and why it is not the CT perfusion series looked for."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.dicom.meaning import read_meanings
from ctpdeploy.runtime.dicom.places import find_places
from ctpdeploy.runtime.dicom.quantities import names_map
from ctpdeploy.runtime.dicom.series import Series

__all__ = [
    "COLOUR_MAP",
    "CT_PERFUSION",
    "KINDS",
    "LEAST_TIMES",
    "OWN_MAKER",
    "OWN_NOTICE",
    "PERFUSION_MAP",
    "Extent",
    "Kind",
    "Verdict",
    "is_called_map",
    "is_own_result",
    "judge",
    "words_of",
]

CT_PERFUSION: Final = "CT perfusion"
PERFUSION_MAP: Final = "perfusion map"
COLOUR_MAP: Final = "colour map"

OWN_MAKER: Final = "ctpdeploy"
OWN_NOTICE: Final = "research use only"
"""Maker, and words in the description, of our own results: what comes back from an archive is no maker's map."""

LEAST_TIMES: Final = 10
"""Points in time of a perfusion scan; angiographies in phases have two to five."""

_AXIAL: Final = 0.7
"""Least share of the body's axis in the normal of a slice."""

_MADE_OF_OTHERS: Final = frozenset({"MPR", "REFORMATTED", "MIP", "MINIP", "PROJECTION IMAGE", "AVERAGE", "VOLUME"})


def is_own_result(maker: str, description: str) -> bool:
    """Whether a series of a maker with a description is a result of ctpdeploy's."""
    return maker == OWN_MAKER and OWN_NOTICE in description


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How far a series extends.

    Attributes:
        places: number of different places of its slices.
        times: most images at one of them.
        upright: share of the body's axis in the normal of its slices.
        unplaced: number of images that do not state where they lie.
    """

    places: int
    times: int
    upright: float
    unplaced: int

    @classmethod
    def of(cls, series: Series) -> "Extent":
        """The extent of a series whose planes are placed; zeros of one without."""
        planes = [plane for plane in series.planes if plane.placed]
        unplaced = len(series.planes) - len(planes)
        if not planes:
            return cls(places=0, times=0, upright=0.0, unplaced=unplaced)
        normal = np.cross(*np.reshape(planes[0].orientation, (2, 3)))
        counts = np.bincount(find_places(planes, normal).of_planes)
        return cls(places=len(counts), times=int(counts.max()), upright=abs(float(normal[2])), unplaced=unplaced)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of series.

    Attributes:
        name: of the kind.
        holds: whether a series of an extent is of it, those before it in the table aside.
        because: clause that says by what it is known.
    """

    name: str
    holds: Callable[[Series, Extent], bool]
    because: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The kind of a series.

    Attributes:
        kind: name of the kind.
        because: by what it is known.
        extent: of the series.
    """

    kind: str
    because: str
    extent: Extent


def _type(series: Series, *words: str) -> bool:
    return not set(words).isdisjoint(word.upper() for word in series.image_type)


def words_of(series: Series) -> str:
    """The words of a series by which a map is known."""
    return " ".join((series.description, *series.image_type))


def is_called_map(series: Series) -> bool:
    """Whether its words, or its image type, are those of perfusion maps."""
    return names_map(words_of(series)) or {"DERIVED", "PERFUSION"} <= set(series.image_type)


def _is_map(series: Series, extent: Extent) -> bool:
    return extent.times < LEAST_TIMES and (is_called_map(series) or _is_coded(series))


def _is_coded(series: Series) -> bool:
    """Whether its first image maps its numbers to a quantity of perfusion."""
    with suppress(InputError, MissingPackageError):  # who reads it says so
        return any(meaning.code for meaning in read_meanings(series.planes[0].file)[:1])
    return False


def _in_colour(series: Series) -> bool:
    return any(plane.storage.samples != 1 or "PALETTE" in plane.storage.photometric for plane in series.planes[:1])


KINDS: Final = (
    Kind(name="unreadable", holds=lambda series, _: bool(series.fault), because="a file of it cannot be read"),
    Kind(
        name="report",
        holds=lambda series, _: series.modality in ("SR", "DOC", "REG", "PR", "KO", "SEG", "RTSTRUCT"),
        because="it holds no images of a scanner",
    ),
    Kind(
        name="other modality",
        holds=lambda series, _: series.modality not in ("CT", "OT", ""),
        because="its modality is not CT",
    ),
    Kind(name="not images", holds=lambda series, _: not series.planes, because="it holds no images"),
    Kind(
        name="result",
        holds=lambda series, _: is_own_result(series.maker, series.description),
        because="ctpdeploy made it",
    ),
    Kind(
        name=COLOUR_MAP,
        holds=lambda series, _: _in_colour(series) and is_called_map(series),
        because="a map in colours holds no values",
    ),
    Kind(name="colour", holds=lambda series, _: _in_colour(series), because="values cannot be read from colours"),
    Kind(
        name="localiser",
        holds=lambda series, _: _type(series, "LOCALIZER", "SCOUT"),
        because="its image type says so",
    ),
    Kind(name=PERFUSION_MAP, holds=_is_map, because="its words, image type, or a code in its first image name a map"),
    Kind(
        name="reformatted",
        holds=lambda series, extent: extent.times < LEAST_TIMES and _type(series, "SECONDARY", *_MADE_OF_OTHERS),
        because="its image type says that it was made of other images",
    ),
    Kind(
        name="without positions",
        holds=lambda _, extent: extent.unplaced > 0,
        because="its images do not state where they lie",
    ),
    Kind(
        name="volume",
        holds=lambda _, extent: extent.times <= 1,
        because="it has one image at each place",
    ),
    Kind(
        name="phases",
        holds=lambda _, extent: extent.times < LEAST_TIMES,
        because=f"it has less than {LEAST_TIMES} images at each place",
    ),
    Kind(
        name="bolus tracking",
        holds=lambda _, extent: extent.places == 1,
        because="it has many images at a single place",
    ),
    Kind(name="not axial", holds=lambda _, extent: extent.upright < _AXIAL, because="its slices are not axial"),
    Kind(name=CT_PERFUSION, holds=lambda *_: True, because="it has many images at each of its places"),
)
"""All kinds, tried in this order; ``docs/scanner.md`` lists them from here."""


def judge(series: Series) -> Verdict:
    """The kind of a series."""
    extent = Extent.of(series)
    kind = next(kind for kind in KINDS if kind.holds(series, extent))
    return Verdict(kind=kind.name, because=series.fault or kind.because, extent=extent)
