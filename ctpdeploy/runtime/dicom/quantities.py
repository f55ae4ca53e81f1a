"""Quantities: what the numbers of a perfusion map may be, by the codes of DICOM and by the words of makers.

Codes are those of PS3.16 annex D. Words are those of descriptions: no maker's map has been read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ctpdeploy.runtime.data.case import MAP_UNITS

__all__ = ["BY_NAME", "QUANTITIES", "Quantity", "names_map", "names_result", "of_code", "of_words"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity.

    Attributes:
        name: of the map that networks take, one of ``MAP_NAMES``; another one where they take none.
        title: in sentences.
        codes: of the scheme DCM.
        words: that name it, by the maker who writes them; a blank stands for any one sign or none.
        because: why networks take none of it, a clause; empty where they do.
    """

    name: str
    title: str
    codes: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    because: str = ""

    @property
    def unit(self) -> str:
        """Of the map that networks take; empty where they take none."""
        return MAP_UNITS.get(self.name, "")


_RELATIVE: Final = "it is relative, and what is printed and checked has units"
_NOT_TAKEN: Final = "networks take no such map"

QUANTITIES: Final = (
    Quantity(
        name="cbf",
        title="CBF",
        codes=("113055", "126390"),
        words={"all": ("CBF",), "GE, Vitrea": ("blood flow",), "RAPID": ("rCBF",)},
    ),
    Quantity(
        name="cbv",
        title="CBV",
        codes=("113056", "126391"),
        words={"all": ("CBV",), "GE, Vitrea": ("blood volume",), "RAPID": ("rCBV",)},
    ),
    Quantity(name="mtt", title="MTT", codes=("113052",), words={"all": ("MTT",), "GE": ("mean transit time",)}),
    Quantity(
        name="tmax",
        title="Tmax",
        codes=("113084",),
        words={"all": ("T max",), "UIH": ("time to maximum", "time to max")},
    ),
    Quantity(name="ttp", title="TTP", codes=("113069",), words={"all": ("TTP", "time to peak")}, because=_NOT_TAKEN),
    Quantity(
        name="ttd", title="time to drain", codes=(), words={"Siemens": ("TTD", "time to drain")}, because=_NOT_TAKEN
    ),
    Quantity(
        name="tts", title="time to start", codes=(), words={"Siemens": ("TTS", "time to start")}, because=_NOT_TAKEN
    ),
    Quantity(name="relative cbf", title="relative CBF", codes=("126397",), words={}, because=_RELATIVE),
    Quantity(name="relative cbv", title="relative CBV", codes=("126398",), words={}, because=_RELATIVE),
)
"""All quantities. One more is one more entry."""

BY_NAME: Final = {quantity.name: quantity for quantity in QUANTITIES}


def _pattern(*words: str) -> re.Pattern[str]:
    either = "|".join(re.escape(word).replace(r"\ ", "[ _-]?") for word in words)
    return re.compile(rf"(?<![a-z])(?:{either})(?![a-z])", re.IGNORECASE)


_PATTERNS: Final = {
    quantity.name: _pattern(*(word for words in quantity.words.values() for word in words))
    for quantity in QUANTITIES
    if quantity.words
}
_OTHER_MAPS: Final = _pattern("PBF", "PBV", "perfusion map", "penumbra", "mismatch")
_RESULTS: Final = re.compile(
    r"[<>≤≥]|(?<![a-z])(mask|mismatch|penumbra|overlay|fusion|summary)(?![a-z])", re.IGNORECASE
)


def of_code(code: str) -> Quantity | None:
    """The quantity of a code of the scheme DCM."""
    return next((quantity for quantity in QUANTITIES if code in quantity.codes), None)


def of_words(text: str) -> frozenset[str]:
    """Names of the quantities that a text names."""
    return frozenset(name for name, pattern in _PATTERNS.items() if pattern.search(text))


def names_map(text: str) -> bool:
    """Whether a text names a perfusion map, of whatever kind."""
    return bool(of_words(text) or _OTHER_MAPS.search(text))


def names_result(text: str) -> bool:
    """Whether a text names what was made of maps by thresholds, or a page of them."""
    return bool(_RESULTS.search(text))
