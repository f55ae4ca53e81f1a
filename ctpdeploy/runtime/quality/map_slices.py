"""Whether maps that a study brings go with the series slice by slice, where computed ones could stand in their place.

An image a slice is a file, and one may be another's or in another's place. Right maps are doubted here that are not
where nothing else could be taken: where the head has moved, MTT does not go with CBV / CBF everywhere.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, Case, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.quality.agreement import MEANS, expected, rank_correlation, shown
from ctpdeploy.runtime.quality.blocks import Blocks

__all__ = ["inspect_slices"]

_LEAST: Final = {"cbf": 0.6, "cbv": 0.5, "tmax": 0.15, "mtt": 0.7}
"""Correlations in the blocks of a slice. Right maps have 0.73, 0.84, 0.52 and 0.69 at least, in 218 slices of heads
that did not move; mirrored ones 0.2, 0.2, -0.1 and 0 in the median and 0.55, 0.59, 0.34 and 0.54 at most."""

_LEVEL: Final = (0.25, 4.0)
"""Median of a map in a slice over that in all; right maps have 0.75 to 1.63."""

_FEWEST: Final = 50
"""Blocks of a slice; at the vertex are fewer."""


def inspect_slices(case: Case) -> tuple[Finding, ...]:
    """Findings on single slices of the maps of a case, at most one a map; more than those on whole maps."""
    seen = Blocks.of(case.series, case.geometry.spacing)
    values = {name: seen.means(volume) for name, volume in case.maps.items()}
    goes_with, inside = expected(values, seen), shown(case.maps, seen, by=2) & seen.inside
    found = [_first_wrong(name, values[name], goes_with[name], inside) for name in _LEAST]
    found.append(_upside_down(values["tmax"], goes_with["tmax"], inside))
    return tuple(finding("maps-of-another", sentence) for sentence in found if sentence)


def _upside_down(tmax: FloatArray, goes_with: NDArray[Any], inside: BoolArray) -> str:
    """Whether Tmax goes better with the series in the other order of its slices; empty where it does not."""
    both = inside & inside[::-1]
    if np.count_nonzero(both) < _FEWEST:
        return ""
    here, there = (rank_correlation(values[both], goes_with[both]) for values in (tmax, tmax[::-1]))
    if there <= here:
        return ""
    return (
        f"Tmax goes better with the series upside down (rank correlation {there:.2f} in the place of {here:.2f}): are "
        "its slices in another order?"
    )


def _first_wrong(name: str, values: FloatArray, goes_with: NDArray[Any], inside: BoolArray) -> str:
    """What is wrong in the first slice of a map that is not right; empty where all are."""
    title, of = MEANS[name]
    for place, blocks in enumerate(inside):
        if np.count_nonzero(blocks) < _FEWEST:
            continue
        here = rank_correlation(values[place][blocks], goes_with[place][blocks])
        level = float(np.median(values[place][blocks])) / max(float(np.median(values[inside])), 1e-6)
        if here < _LEAST[name] or not _LEVEL[0] < level < _LEVEL[1]:
            return (
                f"Slice {place} (counted from 0) of {title} does not go with {of}, or not with the other slices (rank "
                f"correlation {here:.2f}, {_LEAST[name]:.2f} expected; {level:.2g} times their median): is its image "
                "of this map and place?"
            )
    return ""
