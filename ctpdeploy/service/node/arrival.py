"""Arrival: what has come of a study, and how it is known that all of it has.

A series of CT perfusion can be counted: every position has the same number of images. It is also so after each whole
phase, so the sender must have hung up as well, and a moment must pass before a result may leave; computing need not
wait for it. Where the maker states how many images there are, nothing need pass. What cannot be counted, as phases that
are series of their own, waits for silence.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ctpdeploy.runtime.dicom.header import Header
from ctpdeploy.runtime.dicom.tags import Tag
from ctpdeploy.service.node.settings import CompleteConfig

__all__ = ["Arrival", "Completeness", "Completion"]

_FEWEST: Final = 5
"""Images at one position that make a series one over time."""

_PATIENCE: Final = 3.0
"""A pause so many times the longest yet is an end."""


class Completeness(StrEnum):
    """How it is known that all of a study has come."""

    COUNTED = "counted"
    FULL = "full grid"
    QUIET = "silence"


@dataclass(frozen=True)
class Completion:
    """A study that is complete.

    Attributes:
        completeness: how it is known.
        hold: s for which no result may leave, since more may come.
    """

    completeness: Completeness
    hold: float = 0.0


class Arrival:
    """What has come of one study. Not for several threads at once.

    Args:
        config: how long to wait.
        alone: whether the images are all that is used, so that nothing else of a study need come.

    Attributes:
        last: when the last image came, s of the clock of ``add``.
        images: that have come.
        patients: ID and name of each that they name.
    """

    def __init__(self, config: CompleteConfig, *, alone: bool = False) -> None:
        self._config, self._alone = config, alone
        self._series: dict[str, _Series] = {}
        self._senders: set[Hashable] = set()
        self.last = self._longest = 0.0
        self.images = 0
        self.patients: set[tuple[str, str]] = set()

    def add(self, header: Header, *, at: float, sender: Hashable) -> None:
        """Take note of an instance that is kept.

        Args:
            header: of it.
            at: s, of a clock that only goes forward.
            sender: the connection that it came by.
        """
        if self.images:
            self._longest = max(self._longest, at - self.last)
        self.last = at
        self.images += 1
        self._senders.add(sender)
        self._series.setdefault(header.text(Tag.SERIES), _Series()).add(header)
        self.patients.add((header.text(Tag.PATIENT_ID), header.text(Tag.PATIENT_NAME)))

    def leave(self, sender: Hashable) -> None:
        """Take note that a sender has hung up."""
        self._senders.discard(sender)

    def complete(self, now: float) -> Completion | None:
        """How it is known that all has come; None where it is not yet."""
        over_time = [series for series in self._series.values() if series.over_time]
        gone = not self._senders
        if over_time and all(series.counted for series in over_time) and (gone or self._alone):
            return Completion(Completeness.COUNTED)
        silence, pause = now - self.last, _PATIENCE * self._longest
        if over_time and all(series.full for series in over_time) and gone and silence >= pause:
            return Completion(Completeness.FULL, max(self._config.settle_s - silence, 0.0))
        return Completion(Completeness.QUIET) if silence >= max(self._config.quiet_s, pause) else None


class _Series:
    """Images of a series by their position."""

    def __init__(self) -> None:
        self._places: Counter[tuple[str, str]] = Counter()
        self._frames = 1
        self._stated: set[int] = set()

    def add(self, header: Header) -> None:
        self._places[header.text(Tag.POSITION), header.text(Tag.ORIENTATION)] += 1
        self._frames = max(self._frames, *map(int, header.numbers(Tag.FRAMES)), 1)
        self._stated.update(map(int, header.numbers(Tag.IMAGES_IN_ACQUISITION)))

    @property
    def over_time(self) -> bool:
        """Whether it is of several positions, unlike bolus tracking, at each of which there are many images."""
        return (len(self._places) > 1 and max(self._places.values()) >= _FEWEST) or self._frames > _FEWEST

    @property
    def full(self) -> bool:
        return len(set(self._places.values())) == 1

    @property
    def counted(self) -> bool:
        """Whether it has as many images as its maker says, who says one number for all, and makes a full grid."""
        return self._stated == {self._places.total()} and self.full
