"""Perfusion maps: what the series of a study say to be maps, each of one quantity, and why one cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.map_units import factor_to
from ctpdeploy.runtime.dicom.kinds import COLOUR_MAP, PERFUSION_MAP, Verdict, is_called_map, words_of
from ctpdeploy.runtime.dicom.meaning import Meaning, Scale, read_meanings
from ctpdeploy.runtime.dicom.plane import Plane
from ctpdeploy.runtime.dicom.quantities import BY_NAME, Quantity, names_result, of_code, of_words
from ctpdeploy.runtime.dicom.series import Series
from ctpdeploy.runtime.dicom.study import Study

__all__ = ["MapImage", "PerfusionMap", "find_maps"]

_DESCRIPTION: Final = "the words of its series"
_NO_IMAGES: Final = ("unreadable", "other modality", "not images")
"""Kinds of series that may be called maps all the same."""


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
    if kind == COLOUR_MAP or (kind in _NO_IMAGES and is_called_map(series)):
        yield from _unread(series, verdict.because, in_colour=kind == COLOUR_MAP)
    elif kind == PERFUSION_MAP and not all(plane.placed for plane in series.planes):
        yield from _unread(series, "its images do not state where they lie")
    elif kind == PERFUSION_MAP:
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


def _of_images(series: Series) -> Iterator[PerfusionMap]:
    """The maps that the images of a series make, one a quantity."""
    files = {str(plane.file): plane.file for plane in series.planes}
    meanings = {name: read_meanings(file) for name, file in files.items()}
    held: dict[str, list[tuple[Plane, Meaning, str, str]]] = {}
    for plane in series.planes:
        meaning = meanings[str(plane.file)][plane.index]
        quantity, known_by, fault = _quantity(meaning, series.description)
        held.setdefault(quantity.name if quantity else "", []).append((plane, meaning, known_by, fault))
    for name, images in held.items():
        yield _of_quantity(series, BY_NAME.get(name), images)


def _of_quantity(
    series: Series, quantity: Quantity | None, images: Sequence[tuple[Plane, Meaning, str, str]]
) -> PerfusionMap:
    _, meaning, known_by, _ = images[0]
    units = sorted({meaning.scale.unit for _, meaning, _, _ in images})
    faults = [doubt or meaning.fault for _, meaning, _, doubt in images if doubt or meaning.fault]
    factor = factor_to(quantity.unit, units[0]) if quantity and quantity.unit else None
    if not faults and len({meaning.origin for _, meaning, _, _ in images}) > 1:
        faults = ["several makers or models made its images"]
    if not faults and quantity and quantity.because:
        faults = [quantity.because]
    if not faults and (len(units) > 1 or factor is None):
        faults = [_fault_of(units, quantity)]
    return PerfusionMap(
        series=series,
        quantity=quantity,
        known_by=known_by,
        unit=units[0],
        origin=meaning.origin,
        images=() if faults or factor is None else tuple(_image(plane, one, factor) for plane, one, _, _ in images),
        fault=faults[0] if faults else "",
    )


def _fault_of(units: Sequence[str], quantity: Quantity | None) -> str:
    title = quantity.title if quantity else "a map"
    if len(units) > 1:
        return f"its images are in {len(units)} units"
    return f"its unit {units[0]} is none of {title}" if units[0] else "it states no unit"


def _image(plane: Plane, meaning: Meaning, factor: float) -> MapImage:
    scale = meaning.scale
    return MapImage(
        plane=plane,
        scale=Scale(
            unit=scale.unit,
            slope=factor * scale.slope,
            intercept=factor * scale.intercept,
            first=scale.first,
            last=scale.last,
        ),
    )


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
