"""Phases: which planes of different places belong to one point in time.

Places may be taken at times of their own, as where the table moves or swings from one slab to the next. Each is matched
with the place that was taken most often: its times lie before or after those, always by less than an interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError

__all__ = ["Phases", "match_phases"]

_OUT_OF_STEP: Final = 0.75
"""Of an interval. At the end of a slab through which the table swings to and fro, times are half of one before and
after the middle's in turns; a plane that is lost moves all that follow by a whole one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Phases:
    """Planes by phase and place.

    Attributes:
        planes: index of the plane ``(T, Z)``.
        times: of each, ``(T, Z)``.
        dropped: planes of a last phase that is not complete; their indices.
    """

    planes: NDArray[np.int64]
    times: NDArray[np.float64]
    dropped: tuple[int, ...]


def match_phases(of_places: NDArray[np.int64], times: NDArray[np.float64], name: Callable[[int, float], str]) -> Phases:
    """Match the planes of all places.

    Args:
        of_places: number of the place of each plane ``(N,)``, from 0, none left out.
        times: of each plane ``(N,)``, different at one place.
        name: function from a place and a time to words for the errors.

    Raises:
        InputError: a plane is missing before the last phase.
    """
    order = np.lexsort((times, of_places))
    columns = np.split(order, np.flatnonzero(np.diff(of_places[order])) + 1)
    counts = np.array([len(column) for column in columns])
    longest = times[columns[int(counts.argmax())]]
    count = int(counts.min())
    for place, column in enumerate(columns):
        _require_in_step(times[column], longest, place, name)
    if len(longest) - count > 1:
        place = int(counts.argmin())
        raise InputError(
            f"{name(place, float(longest[count]))} and {len(longest) - count - 1} more images behind it are missing: "
            "send the series again."
        )
    planes = np.stack([column[:count] for column in columns], axis=1)
    return Phases(
        planes=planes,
        times=times[planes],
        dropped=tuple(int(plane) for column in columns for plane in column[count:]),
    )


def _require_in_step(
    times: NDArray[np.float64], longest: NDArray[np.float64], place: int, name: Callable[[int, float], str]
) -> None:
    """Refuse a place whose times leave those of the place with most of them.

    Raises:
        InputError: they do, where a plane is missing.
    """
    if len(longest) < 2:
        return
    steps = np.diff(longest)
    lag = times - longest[: len(times)]
    local = np.minimum(np.append(steps, steps[-1]), np.append(steps[0], steps))[: len(times)]
    late = np.abs(lag - np.median(lag)) > _OUT_OF_STEP * local
    if late.any():
        at = int(np.flatnonzero(late)[0]) if np.argmin(late) == 0 else 0
        raise InputError(f"{name(place, float(longest[at]))} is missing: send the series again.")
