"""Phases: which planes of different places belong to one point in time.

Places may be taken at times of their own: some later than others, as where the table goes from slab to slab, or
earlier and later in turns, as where it swings to and fro. The n-th image of a place is always as far from the middle
of all n-th images, or so in turns; where an image is lost, those behind it are an interval late.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError

__all__ = ["Phases", "match_phases"]

_OUT_OF_STEP: Final = 0.3
"""Of an interval. A lost image moves those behind it by a whole one, from what fits them best by a third or more."""


_TIE: Final = 1e-6
"""Of an interval: with one image less, half of one late is as likely half of one early, and the first lost."""


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
    count, most = int(counts.min()), int(counts.max())
    middle = np.median([times[column[:count]] for column in columns if len(column) == most], axis=0)
    pace = np.gradient(middle) if count > 1 else np.ones(count)
    lags = [(times[column[:count]] - middle) / pace for column in columns]
    usual = float(np.median([np.median(lag) for lag in lags]))
    for place, (column, lag) in enumerate(zip(columns, lags, strict=True)):
        lost = _lost(lag)
        if lost is None and len(column) < most and np.median(lag) > usual + 0.5 - _TIE:
            lost = 0
        if lost is not None:
            raise InputError(f"{name(place, float(middle[lost]))} is missing: send the series again.")
    if most - count > 1:
        place = int(counts.argmin())
        end = float(middle[-1])
        raise InputError(f"{most - count} images behind {name(place, end)} are missing: send the series again.")
    planes = np.stack([column[:count] for column in columns], axis=1)
    return Phases(
        planes=planes,
        times=times[planes],
        dropped=tuple(int(plane) for column in columns for plane in column[count:]),
    )


def _lost(lag: NDArray[np.float64]) -> int | None:
    """The phase of which a place has no image; None if it has all but perhaps the first or the last.

    Args:
        lag: of its images behind the middle of their phases, in intervals.
    """
    if np.abs(_unexplained(lag)).max() <= _OUT_OF_STEP:
        return None
    late = np.tri(len(lag)).T  # from one phase on, each in turn
    return int(np.argmin([np.abs(_unexplained(lag - shift)).sum() for shift in late]))


def _unexplained(lag: NDArray[np.float64]) -> NDArray[np.float64]:
    """A lag without its mean and without what changes its sign from phase to phase."""
    model = np.stack([np.ones(len(lag)), (-1.0) ** np.arange(len(lag))], axis=1)
    return lag - model @ np.linalg.lstsq(model, lag, rcond=None)[0]
