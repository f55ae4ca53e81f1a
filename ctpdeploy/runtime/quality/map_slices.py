"""Whether each slice of perfusion maps is of the series: where an image a slice is a file, one may be another's."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.quality.agreement import MEANS, expected, rank_correlation, shown
from ctpdeploy.runtime.quality.blocks import Blocks

__all__ = ["inspect_slices"]

_LEAST: Final = {"cbf": 0.6, "cbv": 0.5, "tmax": 0.15, "mtt": 0.6}
"""Correlations in the blocks of a slice. Right maps have 0.73, 0.84, 0.52 and 0.69 at least, in 218 slices; mirrored
ones 0.2, 0.2, -0.1 and 0 in the median and 0.55, 0.59, 0.34 and 0.54 at most, empty ones 0."""

_FEWEST: Final = 50
"""Blocks of a slice; at the vertex are fewer."""


def inspect_slices(case: Case) -> tuple[Finding, ...]:
    """Findings on single slices of the maps of a case, at most one a map; more than those on whole maps."""
    seen = Blocks.of(case.series, case.geometry.spacing)
    return tuple(_disagreeing(case, seen))


def _disagreeing(case: Case, seen: Blocks) -> Iterator[Finding]:
    values = {name: seen.means(volume) for name, volume in case.maps.items()}
    goes_with, inside = expected(values, seen), shown(case.maps, seen) & seen.inside
    for name, least in _LEAST.items():
        title, of = MEANS[name]
        for place, blocks in enumerate(inside):
            if np.count_nonzero(blocks) < _FEWEST:
                continue
            found = rank_correlation(values[name][place][blocks], goes_with[name][place][blocks])
            if found < least:
                sentence = (
                    f"{title} does not go with {of} in slice {place} (counted from 0; rank correlation {found:.2f}, "
                    f"{least:.2f} expected): is the image of this map and place?"
                )
                yield finding("maps-of-another", sentence)
                break
