"""Figures 6 to 9: systems side by side, one below the other the cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.report.slice_view import TRUTH, View
from ctpdeploy.train.reproduction.figures.figure_cases import ShownCase
from ctpdeploy.train.reproduction.figures.labels import row_label
from ctpdeploy.train.reproduction.figures.page import DARK, Page, swatch
from ctpdeploy.train.reproduction.figures.pictures import Grid, Panel, explain, make_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_panels"]

SEGMENTATION = "#ffd60a"

_PANEL, _WIDEST_PANEL, _GAP = 1.3, 1.5, 0.05
_NARROWEST = 7.5
"""Inches: of a panel, of one where there are few, between panels, and of a page, whose notes need room."""

_LABELS, _TITLES, _DICE = 0.75, 0.28, 0.28
"""Inches of the labels on the left, of the titles, and of the line with the scores."""


@dataclass(frozen=True, kw_only=True)
class _Block:
    """The panels of a case, and inches of their width and left of them."""

    shown: ShownCase
    view: View
    grid: Grid
    width: float
    left: float

    @property
    def height(self) -> float:
        """Of a panel."""
        rows, columns = self.view.montage(self.shown.lesion).shape
        return float(self.width * self.view.aspect * rows / columns)

    @property
    def lines(self) -> float:
        """Height of all panels."""
        return len(self.grid) * (self.height + _GAP)


def draw_panels(
    table: int,
    rows: Mapping[str, str],
    cases: Sequence[ShownCase],
    config: PreprocessConfig,
    *,
    heading: str,
    notes: Sequence[str] = (),
    synthetic: bool = False,
) -> "Figure":
    """Draw rows of a table as columns; the panels are those of ``pictures.make_grid``.

    Args:
        table: of these rows.
        rows: the system of each row.
        cases: with a prediction of each of these systems.
        config: how the DWI is scaled.
        heading: title of the page.
        notes: further sentences below.
        synthetic: whether the patients are.
    """
    grids = [make_grid(shown, list(rows.values()), config) for shown in cases]
    columns = len(grids[0][0])
    width = float(np.clip((_NARROWEST - _LABELS) / columns - _GAP, _PANEL, _WIDEST_PANEL))
    used = _LABELS + columns * (width + _GAP)
    left = _LABELS + max(_NARROWEST - used, 0.0) / 2
    blocks = [
        _Block(shown=shown, view=View.of(shown.case, (shown.slice,)), grid=grid, width=width, left=left)
        for shown, grid in zip(cases, grids, strict=True)
    ]
    page = Page(
        max(used, _NARROWEST),
        _TITLES + sum(block.lines + _DICE for block in blocks),
        ink=DARK,
        heading=heading,
        notes=[explain(grids), *notes],
        synthetic=synthetic,
    )
    page.legend([swatch(SEGMENTATION, "segmentation"), swatch(TRUTH, "lesion drawn on DWI")])
    top = _TITLES
    for block in blocks:
        first = _draw_block(page, block, top)
        if top == _TITLES:
            for axes, row in zip(first[-len(rows) :], rows, strict=True):
                axes.set_title(row_label(table, row), color=page.ink.text, fontsize=11, pad=4)
        top += block.lines + _DICE
    return page.figure


def _draw_block(page: Page, block: _Block, top: float) -> list["Axes"]:
    """Draw a case and its name; returns the axes of the first line."""
    middle, shown = top + block.lines / 2, block.shown
    style: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center"}
    page.text(block.left - 0.65, middle, shown.case.identifier, size=11, weight="bold", **style)
    details = f"{shown.volume_ml:.1f} ml, slice {shown.slice + 1}"
    page.text(block.left - 0.45, middle, details, size=9.5, colour=page.ink.quiet, **style)
    drawn = []
    for i, line in enumerate(block.grid):
        for j, panel in enumerate(line):
            x, y = block.left + j * (block.width + _GAP), top + i * (block.height + _GAP)
            drawn.append(page.axes(x, y, block.width, block.height))
            _draw_panel(drawn[-1], panel, block.view)
        _mark_sides(drawn[-len(line)])
    return drawn[: len(block.grid[0])]


def _draw_panel(axes: "Axes", panel: Panel, view: View) -> None:
    from matplotlib.patheffects import withStroke

    axes.set_axis_off()
    picture = panel.picture
    axes.imshow(view.montage(picture.volume), cmap=picture.colours, vmin=picture.low, vmax=picture.high, aspect="auto")
    # the lesion above and thinner: where both outlines agree both are seen
    for mask, colour, width in ((panel.segmentation, SEGMENTATION, 1.6), (panel.lesion, TRUTH, 0.9)):
        if mask is not None and mask[list(view.slices)].any():
            axes.contour(view.montage(mask), levels=[0.5], colors=colour, linewidths=width)
    style: dict[str, Any] = {"color": "white", "ha": "center", "transform": axes.transAxes}
    around = [withStroke(linewidth=2, foreground="black")]  # the name lies on the picture
    axes.text(0.5, 0.01, picture.name, fontsize=8.5, va="bottom", path_effects=around, **style)
    axes.text(0.5, -0.02, panel.caption, fontsize=10, va="top", **style)


def _mark_sides(axes: "Axes") -> None:
    style: dict[str, Any] = {"color": "white", "fontsize": 8, "va": "center", "transform": axes.transAxes}
    axes.text(0.01, 0.5, "R", **style)
    axes.text(0.99, 0.5, "L", ha="right", **style)
