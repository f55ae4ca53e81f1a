"""Clocks: what in a header may state when a plane was taken, in the order in which they are believed.

A clock is taken where it tells all planes at one place apart. The number of an instance is none: it counts the order of
a reconstruction, of a transfer, or of an export.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import ClockName
from ctpdeploy.runtime.dicom.plane import Plane

__all__ = ["CLOCKS", "Clock", "Reading", "read_clocks", "seconds_of_date_time", "seconds_of_time"]

_DAY: Final = 86400.0

_FIRST_DAY: Final = date(2000, 1, 1)
"""Dates count from here, so that microseconds are not lost in float64."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """An element, or two, that may state the time of a plane.

    Attributes:
        name: keyword of the element, for reports.
        seconds: function from the elements of a plane to its time in s; None where they state none.
        unit: ``"s"``, or ``"frames"`` where it only counts.
        of_a_day: whether midnight sets it back, for want of a date.
        shared: whether it is believed only where all places have the same times: the times at which images were made,
            one after the other, tell them apart as well, and are no times of a scan.
    """

    name: ClockName
    seconds: Callable[[Mapping[str, str]], float | None]
    unit: Literal["s", "frames"] = "s"
    of_a_day: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A clock read for the planes of a series.

    Attributes:
        clock: that was read.
        values: one a plane, float64 ``(N,)``, in the unit of the clock.
        twins: indices of two planes at one place for which it states the same; None where there are none.
    """

    clock: Clock
    values: NDArray[np.float64]
    twins: tuple[int, int] | None


def seconds_of_time(text: str) -> float | None:
    """Seconds since midnight of a value ``HHMMSS.FFFFFF`` (TM, PS3.5 table 6.2-1); None where it is none."""
    digits, _, fraction = text.strip().replace(":", "").partition(".")
    if not (digits.isdecimal() and len(digits) in (2, 4, 6) and (not fraction or fraction.isdecimal())):
        return None
    hours, minutes, seconds = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600 + minutes * 60 + seconds + (float(f"0.{fraction}") if fraction else 0.0)


def seconds_of_date_time(text: str) -> float | None:
    """Seconds of a value ``YYYYMMDDHHMMSS.FFFFFF`` (DT), its offset from UTC left out; None where it is none."""
    text = text.strip()
    for sign in "+-":
        text = text.partition(sign)[0]
    day, time = _day(text[:8]), seconds_of_time(text[8:]) if len(text) > 8 else None
    return None if day is None or time is None else day + time


def _day(text: str) -> float | None:
    """Seconds of a value ``YYYYMMDD`` (DA), or ``YYYY.MM.DD`` as it was written before DICOM 3."""
    digits = text.strip().replace(".", "")
    if len(digits) != 8 or not digits.isdecimal():
        return None
    try:
        return (date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) - _FIRST_DAY).days * _DAY
    except ValueError:
        return None


def _date_time(key: str) -> Callable[[Mapping[str, str]], float | None]:
    return lambda values: seconds_of_date_time(values[key]) if key in values else None


def _dated(day: str, time: str) -> Callable[[Mapping[str, str]], float | None]:
    def seconds(values: Mapping[str, str]) -> float | None:
        start, since = _day(values.get(day, "")), seconds_of_time(values.get(time, ""))
        return None if start is None or since is None else start + since

    return seconds


def _undated(time: str) -> Callable[[Mapping[str, str]], float | None]:
    return lambda values: seconds_of_time(values.get(time, ""))


def _number(key: str, unit: float) -> Callable[[Mapping[str, str]], float | None]:
    def seconds(values: Mapping[str, str]) -> float | None:
        try:
            value = float(values[key]) * unit
        except (KeyError, ValueError):
            return None
        return value if np.isfinite(value) else None

    return seconds


def _counted(values: Mapping[str, str]) -> float | None:
    """The number of a time point times their distance, where both are stated (ms, PS3.3 C.7.6.2)."""
    number, resolution = _number("TEMPORAL_POSITION", 1.0)(values), _number("TEMPORAL_RESOLUTION", 1e-3)(values)
    return None if number is None or not resolution else number * resolution


CLOCKS: Final = (
    Clock(name="FrameAcquisitionDateTime", seconds=_date_time("FRAME_ACQUISITION_DATE_TIME")),
    Clock(name="FrameReferenceDateTime", seconds=_date_time("FRAME_REFERENCE_DATE_TIME")),
    Clock(name="AcquisitionDateTime", seconds=_date_time("ACQUISITION_DATE_TIME")),
    Clock(name="AcquisitionTime", seconds=_dated("ACQUISITION_DATE", "ACQUISITION_TIME")),
    Clock(name="AcquisitionTime", seconds=_undated("ACQUISITION_TIME"), of_a_day=True),
    Clock(name="ContentTime", seconds=_dated("CONTENT_DATE", "CONTENT_TIME"), shared=True),
    Clock(name="ContentTime", seconds=_undated("CONTENT_TIME"), of_a_day=True, shared=True),
    Clock(name="TriggerTime", seconds=_number("TRIGGER_TIME", 1e-3)),
    Clock(name="TemporalPositionIdentifier", seconds=_counted),
    Clock(name="TemporalPositionIdentifier", seconds=_number("TEMPORAL_POSITION", 1.0), unit="frames"),
)
"""All clocks, the most trusted first; ``docs/scanner.md`` lists them from here."""


def read_clocks(planes: Sequence[Plane], places: NDArray[np.int64]) -> Iterator[Reading]:
    """The clocks that all planes state and that go on at every place, the most trusted first.

    Args:
        planes: of a series.
        places: number of the place at which each lies, ``(N,)``.
    """
    most = max(Counter(places.tolist()).values(), default=0)
    for clock in CLOCKS:
        stated = [clock.seconds(plane.clocks) for plane in planes]
        if any(value is None for value in stated):
            continue
        values = np.array(stated, dtype=np.float64)
        if clock.of_a_day and np.ptp(values) > _DAY / 2:
            values = values + _DAY * (values < _DAY / 2)
        different = len(np.unique(values))
        if different < 2 or (clock.shared and different > most):
            continue
        yield Reading(clock=clock, values=values, twins=_twins(places, values))


def _twins(places: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[int, int] | None:
    """Two planes at one place and time."""
    order = np.lexsort((values, places))
    same = (np.diff(places[order]) == 0) & (np.diff(values[order]) == 0)
    if not same.any():
        return None
    first = int(np.flatnonzero(same)[0])
    return int(order[first]), int(order[first + 1])
