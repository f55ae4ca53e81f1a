"""Meaning: what the stored numbers of an image are, by its header: which quantity, in which unit, on which scale.

A Real World Value Mapping (PS3.3 C.7.6.16.2.11) is of stored numbers and stands before a rescale (C.11.1), which some
makers give the type of a unit. Of an image of many frames, what a frame states stands before what all share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isclose, isfinite, nan
from typing import Any, Final

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.data.map_units import factor_to
from ctpdeploy.runtime.dicom.enhanced import macro
from ctpdeploy.runtime.dicom.header import File
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom
from ctpdeploy.runtime.dicom.quantities import of_code

__all__ = ["Meaning", "Scale", "read_meanings"]

_MAPPING: Final = "RealWorldValueMappingSequence"
_WORDS: Final = ("ImageType", "FrameType", "DerivationDescription", "ContentLabel", "ContentDescription")
_TYPES: Final = ("CTImageFrameTypeSequence", "ParametricMapFrameTypeSequence")
_NO_UNITS: Final = frozenset({"", "US"})
"""Types of a rescale that state no unit (PS3.3 C.11.1.1.2)."""

_AGREE: Final = 1e-3
"""Share by which two scales of one image may differ."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From stored numbers to values.

    Attributes:
        unit: of the values, as it is stated; empty where none is.
        slope: values a stored unit.
        intercept: value of a stored 0.
        first: least stored number that it is of.
        last: greatest such.
    """

    unit: str
    slope: float
    intercept: float
    first: float = -inf
    last: float = inf

    @property
    def fault(self) -> str:
        """Why it is none, a clause; empty where it is one."""
        if isfinite(self.slope) and isfinite(self.intercept) and self.slope > 0:
            return ""
        return f"slope {self.slope:g} and intercept {self.intercept:g} are those of no map"

    def contradicts(self, other: "Scale", unit: str) -> bool:
        """Whether it gives other values than another one; of two that are both in units known for a map's unit."""
        factors = factor_to(unit, self.unit), factor_to(unit, other.unit)
        if factors[0] is None or factors[1] is None:
            return False
        mine, others = (
            [factor * (scale.slope * stored + scale.intercept) for stored in (0.0, 1e3)]
            for factor, scale in zip(factors, (self, other), strict=True)
            if factor is not None
        )
        pairs = zip(mine, others, strict=True)
        return not all(isclose(one, two, rel_tol=_AGREE, abs_tol=_AGREE) for one, two in pairs)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Of an image.

    Attributes:
        origin: maker and model of what made it.
        code: of its quantity in the scheme DCM; empty where none that is known is stated.
        words: of its own, apart from its series'.
        scale: of its numbers.
        fault: why its numbers are no values, a clause; empty where nothing is known against them.
    """

    origin: tuple[str, str]
    code: str
    words: str
    scale: Scale
    fault: str


def read_meanings(file: File) -> list[Meaning]:
    """The meaning of each image of a file, in their order.

    Raises:
        InputError: the file cannot be read.
        MissingPackageError: pydicom is not installed.
    """
    try:
        with file.open("rb") as stream:
            data = pydicom().dcmread(stream, stop_before_pixels=True)
        shared = (data.get("SharedFunctionalGroupsSequence") or [None])[0]
        return [_meaning(data, shared, frame) for frame in data.get("PerFrameFunctionalGroupsSequence") or [None]]
    except MissingPackageError:
        raise
    except Exception as error:
        raise InputError(f"{file} is no readable map ({error}): send it again.") from error


def _meaning(data: Any, shared: Any, frame: Any) -> Meaning:  # noqa: ANN401  pydicom's datasets
    groups = [group for group in (frame, shared, data) if group is not None]
    items = next((list(group[_MAPPING].value) for group in groups if _MAPPING in group), [])
    items = [item for item in items if _code(item)] or items
    mapped = {(_code(item), _mapped(item)) for item in items}
    rescale = _rescale(macro("PixelValueTransformationSequence", frame, shared) or data)
    code, scale = next(iter(mapped)) if mapped else ("", rescale)
    fault = _fault_of_pixels(data, items)
    if len(mapped) > 1:
        fault = fault or f"its numbers are mapped to values in {len(mapped)} ways"
    quantity = of_code(code)
    if quantity is not None and quantity.unit and scale.contradicts(rescale, quantity.unit):
        fault = fault or f"its mapping, in {scale.unit}, and its rescale, in {rescale.unit}, contradict each other"
    return Meaning(
        origin=(_text(data, "Manufacturer"), _text(data, "ManufacturerModelName")),
        code=code,
        words=" ".join(_words(data, items, frame, shared)),
        scale=scale,
        fault=fault or scale.fault,
    )


def _mapped(item: Any) -> Scale:  # noqa: ANN401
    units = item.get("MeasurementUnitsCodeSequence") or []
    return Scale(
        unit=_text(units[0], "CodeValue") if units else "",
        slope=_number(item, nan, "RealWorldValueSlope"),
        intercept=_number(item, nan, "RealWorldValueIntercept"),
        first=_number(item, -inf, "DoubleFloatRealWorldValueFirstValueMapped", "RealWorldValueFirstValueMapped"),
        last=_number(item, inf, "DoubleFloatRealWorldValueLastValueMapped", "RealWorldValueLastValueMapped"),
    )


def _rescale(data: Any) -> Scale:  # noqa: ANN401
    stated = _text(data, "RescaleType")
    return Scale(
        unit="" if stated in _NO_UNITS else stated,
        slope=_number(data, 1.0, "RescaleSlope"),
        intercept=_number(data, 0.0, "RescaleIntercept"),
    )


def _code(item: Any) -> str:  # noqa: ANN401
    """The code of a known quantity that a mapping states."""
    for definition in item.get("QuantityDefinitionSequence") or ():
        for concept in definition.get("ConceptCodeSequence") or ():
            code = _text(concept, "CodeValue")
            if _text(concept, "CodingSchemeDesignator") == "DCM" and of_code(code):
                return code
    return ""


def _words(data: Any, items: Sequence[Any], frame: Any, shared: Any) -> Iterator[str]:  # noqa: ANN401
    types = (macro(name, frame, shared) for name in _TYPES)
    for group in (data, *(group for group in types if group is not None)):
        yield from (_text(group, keyword) for keyword in _WORDS)
    for item in items:
        yield from (_text(item, keyword) for keyword in ("LUTLabel", "LUTExplanation"))


def _fault_of_pixels(data: Any, items: Sequence[Any]) -> str:  # noqa: ANN401
    """Why no numbers stand in its pixels, a clause; empty where some do."""
    if (photometric := _text(data, "PhotometricInterpretation")) != "MONOCHROME2":
        return f"it is in {photometric or 'unknown colours'}, where MONOCHROME2 is needed"
    if _text(data, "LossyImageCompression") == "01":
        return "it was compressed with loss"
    if _text(data, "BurnedInAnnotation") == "YES":
        return "words are burned into it"
    if any("RealWorldValueLUTData" in item for item in items) or (not items and "ModalityLUTSequence" in data):
        return "a table gives its values, where a slope is needed"
    return ""


def _number(data: Any, default: float, *keywords: str) -> float:  # noqa: ANN401
    """The first of some elements that is there."""
    found = (data[keyword].value for keyword in keywords if keyword in data)
    return next((float(value) for value in found if value not in (None, "")), default)


def _text(data: Any, keyword: str) -> str:  # noqa: ANN401
    value = data.get(keyword)
    if value is None or isinstance(value, str):
        return (value or "").strip()
    return " ".join(map(str, value)).strip() if hasattr(value, "__iter__") else str(value)
