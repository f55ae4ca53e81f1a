"""Whether perfusion maps are of the series beside them: rank correlations with what can be seen without deconvolution.

Flow goes with the height of a curve, volume with its area, delay with the time of its peak. Ranks are blind to units
and to the maker's scaling; mirrored, swapped, shifted maps and those of another patient lose them.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.quality.baseline import baseline_mean
from ctpdeploy.runtime.quality.blocks import BLOCK_MM, Blocks

__all__ = [
    "FEWEST",
    "MEANS",
    "SMOOTH_FRAMES",
    "expected",
    "inspect_maps",
    "rank_correlation",
    "shown",
]

_LEAST: Final = {"cbf": 0.70, "cbv": 0.60, "tmax": 0.30}
"""Correlations in blocks. Right maps have 0.9, 0.85 and 0.5 at least, at a quarter of the dose 0.79, 0.62 and 0.33;
mirrored, turned or shifted ones and another patient's 0.3, 0.3 and 0.1, and 0.66, 0.57 and 0.6 at most."""

MEANS: Final = {
    "cbf": ("CBF", "the height of the curves in the series"),
    "cbv": ("CBV", "the area of the curves in the series"),
    "tmax": ("Tmax", "the time of the peaks in the series"),
    "mtt": ("MTT", "CBV / CBF"),
}
"""What a map is called and goes with, in sentences."""

_PLACES: Final = {
    (-1, 0, 0): "are the slices of the maps in another order",
    **{
        (1, *step): f"do the maps lie some {BLOCK_MM:g} mm or more beside it"
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1))
    },
}
"""Where maps may belong: order of slices, blocks by which they are moved; and what to ask."""

_BETTER: Final = 0.02
"""By which a correlation elsewhere has to exceed that in place. Right ones have 0.13 more in place than a block beside
it; maps that lie 4 mm aside as much in both, and 7 mm aside 0.1 less in place."""

_TISSUE: Final = 0.75
"""Share of a block that the maps show, at least."""

FEWEST: Final = 20
"""Blocks, for a correlation."""

_AIR_HU: Final = -300.0
_MOST_IN_AIR: Final = 0.1
"""Of a map's positive voxels."""

SMOOTH_FRAMES: Final = 5
"""Over which curves are averaged, to see their peaks."""


def inspect_maps(maps: Mapping[str, FloatArray], seen: Blocks) -> tuple[Finding, ...]:
    """Findings on maps beside their series.

    Args:
        maps: by the names of ``MAP_NAMES``, ``(D, H, W)``, not negative.
        seen: the series.
    """
    return (*_identical(maps), *_in_air(maps, seen), *_disagreeing(maps, seen))


def _identical(maps: Mapping[str, FloatArray]) -> Iterator[Finding]:
    """Two maps that are one and the same."""
    for one, other in combinations(MAP_NAMES, 2):
        if maps[one].any() and np.array_equal(maps[one], maps[other]):
            sentence = f"{one.upper()} and {other.upper()} are the same volume: give a file of its own for each."
            yield finding("maps-identical", sentence)


def _in_air(maps: Mapping[str, FloatArray], seen: Blocks) -> Iterator[Finding]:
    """Maps with values where the series has air, as backgrounds of 100 or 65535 have."""
    air = seen.mean < _AIR_HU
    for name in MAP_NAMES:
        positive = seen.thin(maps[name]) > 0
        share = int(np.count_nonzero(positive & air)) / max(1, int(np.count_nonzero(positive)))
        if share > _MOST_IN_AIR:
            sentence = (
                f"{100 * share:.0f} % of the positive voxels of {name.upper()} lie in air: its background must be 0 or "
                "negative, and it must lie on the series."
            )
            yield finding("maps-in-air", sentence)


def _disagreeing(maps: Mapping[str, FloatArray], seen: Blocks) -> Iterator[Finding]:
    """Maps that do not go with what the series shows, or that go better with it upside down."""
    values = {name: seen.means(maps[name]) for name in MAP_NAMES}
    tissue = shown(maps, seen, by=3)
    blocks = tissue & seen.inside
    if np.count_nonzero(blocks) < FEWEST:
        sentence = (
            f"The maps show {np.count_nonzero(blocks)} blocks of {BLOCK_MM:g} mm of the brain, too few to be compared "
            "with the series: whether they are of this scan is not known."
        )
        yield finding("maps-not-compared", sentence)
        return
    visible = expected(values, seen)
    found = {name: rank_correlation(values[name][blocks], visible[name][blocks]) for name in _LEAST}
    for name, least in _LEAST.items():
        if found[name] < least:
            title, of = MEANS[name]
            sentence = (
                f"{title} does not go with {of} (rank correlation {found[name]:.2f}, {least:.2f} "
                "expected): is it a map of this scan and this kind, in its place and not mirrored?"
            )
            yield finding("maps-of-another", sentence)
    for moved, remedy in _PLACES.items():
        there = np.roll(tissue[:: moved[0]], moved[1:], axis=(1, 2)) & seen.inside
        cbf = np.roll(values["cbf"][:: moved[0]], moved[1:], axis=(1, 2))
        elsewhere = rank_correlation(cbf[there], visible["cbf"][there]) if np.count_nonzero(there) >= FEWEST else 0.0
        if elsewhere > found["cbf"] + _BETTER:
            sentence = (
                f"CBF goes better with the series elsewhere (rank correlation {elsewhere:.2f} in the place of "
                f"{found['cbf']:.2f}): {remedy}?"
            )
            yield finding("maps-of-another", sentence)
            break
    yield from _mirrored(values["tmax"], visible["tmax"], blocks)
    transit = visible["mtt"][blocks]
    if rank_correlation(values["tmax"][blocks], transit) > rank_correlation(values["mtt"][blocks], transit):
        sentence = "Tmax goes with CBV / CBF more than MTT does: are the two swapped?"
        yield finding("maps-swapped", sentence)


def _mirrored(tmax: FloatArray, peak: NDArray[Any], blocks: NDArray[np.bool_]) -> Iterator[Finding]:
    """Tmax ``(D, m, n)`` that goes better with the times of the peaks when left and right change places.

    The arteries' pattern of delays is much the same on both sides and can alone give a mirrored map the least
    correlation. Right maps, healthy patients' too, have 0.26 more as they are than mirrored.
    """
    both = blocks & blocks[..., ::-1]
    if np.count_nonzero(both) < FEWEST:
        return
    here, there = (rank_correlation(each[both], peak[both]) for each in (tmax, tmax[..., ::-1]))
    if there > here + _BETTER:
        sentence = (
            f"Tmax goes better with the series mirrored (rank correlation {there:.2f} in the place of {here:.2f}): "
            "are left and right of the map changed?"
        )
        yield finding("maps-of-another", sentence)


def expected(values: Mapping[str, FloatArray], seen: Blocks) -> dict[str, NDArray[Any]]:
    """What maps go with, ``(D, m, n)``: heights, areas and times of the peak of the curves, and CBV / CBF.

    Args:
        values: of the maps in the blocks.
        seen: the series.
    """
    curves = seen.frames - baseline_mean(seen.frames)
    smooth = ndimage.uniform_filter1d(curves, SMOOTH_FRAMES, axis=0, mode="nearest")
    cbv, cbf = values["cbv"], values["cbf"]
    return {
        "cbf": smooth.max(axis=0),
        "cbv": curves.sum(axis=0),
        "tmax": smooth.argmax(axis=0),
        "mtt": np.divide(cbv, cbf, out=np.zeros_like(cbf), where=cbf > 0),
    }


def shown(maps: Mapping[str, FloatArray], seen: Blocks, *, by: int) -> BoolArray:
    """The blocks ``(D, m, n)`` that so many of CBF, CBV and MTT show; vessels are left out of them."""
    return seen.means(np.sum([maps[name] > 0 for name in ("cbf", "cbv", "mtt")], axis=0) >= by) > _TISSUE


def rank_correlation(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Spearman's, of arrays ``(n,)``; 0 where one of them is constant."""
    one, other = _ranks(first), _ranks(second)
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / norm if norm else 0.0


def _ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])
