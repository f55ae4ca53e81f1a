"""Perfusion maps: what the series of a study say to be maps, each of one quantity, and why one cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, NamedTuple

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.map_units import factor_to
from ctpdeploy.runtime.dicom.kinds import COLOUR_MAP, CT_PERFUSION, PERFUSION_MAP, Verdict, is_called_map, words_of
from ctpdeploy.runtime.dicom.meaning import Meaning, Scale, read_meanings
from ctpdeploy.runtime.dicom.plane import Plane
from ctpdeploy.runtime.dicom.quantities import BY_NAME, Quantity, names_result, of_code, of_words
from ctpdeploy.runtime.dicom.series import Series
from ctpdeploy.runtime.dicom.study import Study

__all__ = ["MapImage", "PerfusionMap", "find_maps"]

_DESCRIPTION: Final = "the words of its series"
_WHOLE_BITS: Final = 16
"""Most bits of a whole number; pixels in floating point have more."""

_NO_MAPS: Final = (CT_PERFUSION, "report", "result", "localiser")
"""Kinds of series that are none whatever they are called; of all others what is called a map is one that is missed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MapImage:
    """An image of a map: where it lies, and how its numbers become those of the map, in the unit of the map."""

    plane: Plane
    scale: Scale


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfusionMap:
    """A map of a study.

    Attributes:
        series: it is in; one may hold several.
        quantity: it is of; None where nothing says so, or two things say otherwise.
        known_by: what says so; empty where nothing does.
        unit: that its values are stated in; empty where none is.
        origin: maker and model of what made it.
        images: of it, in the order of their files; none where it cannot be read.
        fault: why it cannot be read, a clause; empty where it can.
        in_colour: whether it is a picture in colours.
    """

    series: Series
    quantity: Quantity | None
    known_by: str
    unit: str
    origin: tuple[str, str]
    images: tuple[MapImage, ...] = field(default=(), repr=False)
    fault: str = ""
    in_colour: bool = False

    @property
    def name(self) -> str:
        """Of its quantity; empty where that is not known."""
        return self.quantity.name if self.quantity else ""

    @property
    def title(self) -> str:
        """Of its quantity, in sentences."""
        return self.quantity.title if self.quantity else "map"

    @property
    def is_missed(self) -> bool:
        """Whether networks would have taken it, or perhaps."""
        return self.name.removeprefix("relative ") in MAP_NAMES or bool(self.known_by and not self.quantity)


def find_maps(study: Study) -> list[PerfusionMap]:
    """The maps of a study in the order of their series, those that cannot be read among them.

    Raises:
        MissingPackageError: pydicom is not installed, and there are some.
    """
    pairs = zip(study.series, study.verdicts, strict=True)
    return [found for series, verdict in pairs for found in _of_verdict(series, verdict)]


def _of_verdict(series: Series, verdict: Verdict) -> Iterator[PerfusionMap]:
    kind = verdict.kind
    if kind != PERFUSION_MAP:
        if kind not in _NO_MAPS and is_called_map(series):
            yield from _unread(series, verdict.because, in_colour=kind == COLOUR_MAP)
    elif not all(plane.placed for plane in series.planes):
        yield from _unread(series, "its images do not state where they lie")
    else:
        try:
            yield from _of_images(series)
        except InputError as error:
            yield from _unread(series, str(error).rstrip("."))


def _unread(series: Series, fault: str, *, in_colour: bool = False) -> Iterator[PerfusionMap]:
    """The maps that a series is called."""
    for name in sorted(of_words(words_of(series))) or ("",):
        yield PerfusionMap(
            series=series,
            quantity=BY_NAME.get(name),
            known_by=_DESCRIPTION,
            unit="",
            origin=(series.maker, ""),
            fault=fault,
            in_colour=in_colour,
        )


class _Image(NamedTuple):
    """An image, what its header says of its numbers, what says which map it is of, and why that is doubted."""

    plane: Plane
    meaning: Meaning
    known_by: str
    doubt: str


def _of_images(series: Series) -> Iterator[PerfusionMap]:
    """The maps that the images of a series make, one a quantity."""
    files = {str(plane.file): plane.file for plane in series.planes}
    meanings = {name: read_meanings(file) for name, file in files.items()}
    held: dict[str, list[_Image]] = {}
    for plane in series.planes:
        meaning = meanings[str(plane.file)][plane.index]
        quantity, known_by, doubt = _quantity(meaning, series.description)
        held.setdefault(quantity.name if quantity else "", []).append(_Image(plane, meaning, known_by, doubt))
    for name, images in held.items():
        yield _of_quantity(series, BY_NAME.get(name), images)


def _of_quantity(series: Series, quantity: Quantity | None, images: Sequence[_Image]) -> PerfusionMap:
    first = images[0]
    unit = first.meaning.scale.unit
    factor = factor_to(quantity.unit, unit) if quantity and quantity.unit else None
    fault = next(_faults(images, quantity), "")
    return PerfusionMap(
        series=series,
        quantity=quantity,
        known_by=first.known_by,
        unit=unit,
        origin=first.meaning.origin,
        images=() if fault or factor is None else tuple(_in_unit(image, factor) for image in images),
        fault=fault,
    )


def _faults(images: Sequence[_Image], quantity: Quantity | None) -> Iterator[str]:
    """Why images make no map that can be read, clauses; nothing where they make one."""
    for image in images:
        if fault := image.doubt or image.meaning.fault:
            yield fault
    if quantity is None or quantity.because:
        yield quantity.because if quantity else "nothing says what it is a map of"
        return
    if len({image.meaning.origin for image in images}) > 1:
        yield "several makers or models made its images"
    units = {image.meaning.scale.unit for image in images}
    if len(units) > 1:
        yield f"its images are in {len(units)} units"
    if any(factor_to(quantity.unit, unit) is None for unit in units):
        unit = min(units)
        yield f"its unit {unit} is none of {quantity.title}" if unit else "it states no unit"
    storages = {image.plane.storage for image in images}
    if len({(storage.signed, storage.allocated, storage.stored) for storage in storages}) > 1:
        yield f"its images are stored in {len(storages)} ways, as by no maker"
    (storage, *_) = storages
    largest = 2 ** (storage.stored - storage.signed) - 1
    if storage.allocated <= _WHOLE_BITS and any(largest < image.meaning.scale.last < inf for image in images):
        yield f"its mapping is of numbers that its {storage.stored} bits do not hold"


def _in_unit(image: _Image, factor: float) -> MapImage:
    scale = image.meaning.scale
    in_unit = replace(scale, slope=factor * scale.slope, intercept=factor * scale.intercept)
    return MapImage(plane=image.plane, scale=in_unit)


def _quantity(meaning: Meaning, description: str) -> tuple[Quantity | None, str, str]:
    """The quantity of an image, what says so, and why that is doubted, a clause.

    A code stands before the words of the image, and these before those of its series; what stands behind may name
    others too, but not others alone.
    """
    coded = of_code(meaning.code)
    family = {coded.name.removeprefix("relative ")} if coded else set()  # words leave open what the code states
    levels = (
        (f"code {meaning.code} DCM", family),
        ("the words of its images", of_words(meaning.words)),
        (_DESCRIPTION, of_words(description)),
    )
    stated = [(known_by, names) for known_by, names in levels if names]
    if not stated:
        return None, "", "nothing says what it is a map of"
    (known_by, names), *others = stated
    if len(names) > 1:
        return None, known_by, f"{known_by} stand for {len(names)} quantities"
    (name,) = names
    quantity = coded or BY_NAME[name]
    for doubt, contrary in others:
        if name not in contrary:
            titles = " and ".join(sorted(BY_NAME[one].title for one in contrary))
            return None, known_by, f"it is {quantity.title} by {known_by}, and {titles} by {doubt}"
    if names_result(f"{meaning.words} {description}"):
        return quantity, known_by, "its words name what was made of maps, and not a map"
    return quantity, known_by, ""
