"""Figure 10: Dice and relative volume error of small, medium and large lesions."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctpdeploy.runtime.cohort.case_score import GROUPS, LARGE_ABOVE_ML, SMALL_BELOW_ML, CaseScore
from ctpdeploy.train.reproduction.figures.labels import row_label
from ctpdeploy.train.reproduction.figures.page import LIGHT, Page, swatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "SIZE_GROUPS_TABLE", "draw_size_groups"]

SIZE_GROUPS_TABLE = 5
COLOURS = {
    "Fo": "#999999",
    "dwi_o": "#56b4e9",
    "dwi_ol": "#0072b2",
    "dwi_olh": "#d55e00",
    "dwi_olh_s": "#e69f00",
    "real_dwi": "#009e73",
}
"""The rows of table 5 that the source shows here, each with its colour, the same whatever others are there."""

METRICS = {"dice": "Dice", "rve": "RVE"}

_WIDTH, _HEIGHT = 4.7, 3.2
_LEFT, _TOP, _RIGHT, _BOTTOM = 0.6, 0.2, 0.1, 0.65
"""Inches of a plot with its labels, and of the labels alone."""
_BARS = 0.82
"""Share of a group's room that its bars take."""

_LOGARITHMIC_ABOVE = 1.0


def draw_size_groups(
    rows: Mapping[str, Sequence[CaseScore]], *, heading: str, notes: Sequence[str] = (), synthetic: bool = False
) -> "Figure":
    """Draw the means as bars and the single cases as dots; a score that is undefined in a case is left out.

    Args:
        rows: scores of the same test cases by row of table 5, some of ``COLOURS``.
        heading: title of the page.
        notes: further sentences below.
        synthetic: whether the patients are.
    """
    page = Page(
        _WIDTH * len(METRICS),
        _HEIGHT,
        ink=LIGHT,
        heading=heading,
        notes=["Bars are means, dots single cases. RVE: relative volume error.", *_left_out(rows), *notes],
        synthetic=synthetic,
    )
    for i, metric in enumerate(METRICS):
        axes = page.axes(i * _WIDTH + _LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
        _draw(axes, rows, metric)
    page.legend([swatch(COLOURS[row], row_label(SIZE_GROUPS_TABLE, row), width=6) for row in rows])
    return page.figure


def _draw(axes: "Axes", rows: Mapping[str, Sequence[CaseScore]], metric: str) -> None:
    """One score: groups from left to right, within each the rows."""
    width = _BARS / len(rows)
    for i, (row, scores) in enumerate(rows.items()):
        for j, group in enumerate(GROUPS):
            values = _values(scores, group, metric)
            if not values:
                continue
            x = j + (i - (len(rows) - 1) / 2) * width
            axes.bar(x, float(np.mean(values)), 0.9 * width, color=COLOURS[row], alpha=0.45)
            places = x + 0.25 * width * np.linspace(-1, 1, len(values)) if len(values) > 1 else [x]
            axes.plot(
                places, values, "o", color=COLOURS[row], markersize=5, markeredgecolor="white", markeredgewidth=0.5
            )
    first = next(iter(rows.values()))
    axes.set_xticks(range(len(GROUPS)), [_group_label(group, first) for group in GROUPS], fontsize=9)
    axes.set_xlim(-0.5, len(GROUPS) - 0.5)
    _scale(axes, metric, rows)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", color="#e5e5ea", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _values(scores: Sequence[CaseScore], group: str, metric: str) -> list[float]:
    """The defined scores of a group."""
    values = [score.networks[metric] for score in scores if score.group == group]
    return [value for value in values if math.isfinite(value)]


def _group_label(group: str, scores: Sequence[CaseScore]) -> str:
    bounds = {
        "small": f"< {SMALL_BELOW_ML:g} ml",
        "medium": f"{SMALL_BELOW_ML:g} to {LARGE_ABOVE_ML:g} ml",
        "large": f"> {LARGE_ABOVE_ML:g} ml",
    }
    return f"{group}\n{bounds[group]}\nn = {sum(score.group == group for score in scores)}"


def _scale(axes: "Axes", metric: str, rows: Mapping[str, Sequence[CaseScore]]) -> None:
    """Dice from 0 to 1; a volume error has no end, and one small lesion would flatten all others."""
    axes.set_ylabel(METRICS[metric], fontsize=9)
    if metric == "dice":
        axes.set_ylim(0, 1)
        return
    highest = max(
        (v for scores in rows.values() for group in GROUPS for v in _values(scores, group, metric)), default=0
    )
    if highest > 2 * _LOGARITHMIC_ABOVE:
        axes.set_yscale("symlog", linthresh=_LOGARITHMIC_ABOVE)
        ticks = [0, 0.5, *(m * 10**e for e in range(int(math.log10(highest)) + 1) for m in (1, 2, 5))]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks([], minor=True)
        axes.set_ylabel(f"{METRICS[metric]} (logarithmic above {_LOGARITHMIC_ABOVE:g})", fontsize=9)
    axes.set_ylim(0, 1.1 * max(highest, 1.0))


def _left_out(rows: Mapping[str, Sequence[CaseScore]]) -> list[str]:
    """A sentence that counts the undefined scores, if there are any."""
    counts = [
        f"{METRICS[metric]} of {row_label(SIZE_GROUPS_TABLE, row)} in {missing}"
        for metric in METRICS
        for row, scores in rows.items()
        if (missing := sum(math.isnan(score.networks[metric]) for score in scores))
    ]
    return [f"Undefined and left out (cases): {', '.join(counts)}."] if counts else []
