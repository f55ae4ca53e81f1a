"""A page: room for pictures measured in inches, a heading above, notes and the research notice below."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_replace
from ctpdeploy.runtime.report.slice_view import NOTICE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DARK", "LIGHT", "SYNTHETIC", "Ink", "Page", "save_page", "swatch"]

SYNTHETIC = "Synthetic patients: scores on them are not clinical."

_HEAD, _LINE, _MARGIN = 0.32, 0.175, 0.12
"""Inches of the heading, of a line of notes, and around everything."""

_NOTE_SIZE = 9.0
_LETTERS_PER_INCH = 72 / (0.52 * _NOTE_SIZE)  # a letter of DejaVu Sans is about half as wide as its size


@dataclass(frozen=True, kw_only=True)
class Ink:
    """Colours of a page: ground, text, minor text, and the notice."""

    ground: str
    text: str
    quiet: str
    notice: str


DARK = Ink(ground="black", text="white", quiet="#aeaeb2", notice=NOTICE)
LIGHT = Ink(ground="white", text="#1d1d1f", quiet="#6e6e73", notice="#b25000")


class Page:
    """A page to draw on.

    Args:
        width: inches of the room for pictures.
        height: likewise.
        ink: colours.
        heading: title of the page.
        notes: sentences below the pictures.
        synthetic: whether synthetic patients are shown, which the notice then states.

    Attributes:
        figure: everything, for what no method offers.
    """

    def __init__(
        self, width: float, height: float, *, ink: Ink, heading: str, notes: Sequence[str], synthetic: bool
    ) -> None:
        # matplotlib takes a third of a second to import: only who draws pays for it
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        notice = f"{SYNTHETIC} {INTENDED_USE}" if synthetic else INTENDED_USE
        lines = textwrap.wrap(" ".join(notes), int(width * _LETTERS_PER_INCH), break_on_hyphens=False)
        foot = _LINE * (len(lines) + 1)
        self._size = width + 2 * _MARGIN, _HEAD + height + foot + 3 * _MARGIN
        self.ink = ink
        self.figure: Figure = Figure(figsize=self._size, dpi=160, facecolor=ink.ground)
        FigureCanvasAgg(self.figure)
        self.text(0, -_HEAD, heading, size=12, weight="bold", va="top")
        for i, line in enumerate(lines):
            self.text(0, height + _MARGIN + i * _LINE, line, size=_NOTE_SIZE, colour=ink.quiet, va="top")
        self.text(0, height + _MARGIN + len(lines) * _LINE, notice, size=_NOTE_SIZE, colour=ink.notice, va="top")

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        """Axes of this size; ``x``, ``y`` is their upper left corner, inches right of and below that of the room."""
        left, top = self._at(x, y)
        return self.figure.add_axes(
            (left, top - height / self._size[1], width / self._size[0], height / self._size[1]),
            facecolor=self.ink.ground,
        )

    def text(self, x: float, y: float, text: str, *, size: float, colour: str | None = None, **style: object) -> None:
        """Text at a place given as for :meth:`axes`."""
        self.figure.text(*self._at(x, y), text, fontsize=size, color=colour or self.ink.text, **style)  # type: ignore[arg-type]

    def legend(self, handles: "Sequence[Artist]") -> None:
        """Add a legend of the colours, on the right of the heading."""
        self.figure.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(handles),
            frameon=False,
            handlelength=1.5,
            columnspacing=1.5,
            fontsize=10,
            labelcolor=self.ink.text,
        )

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Figure coordinates of a place in the room."""
        width, height = self._size
        return (_MARGIN + x) / width, 1 - (_MARGIN + _HEAD + y) / height


def swatch(colour: str, meaning: str, width: float = 2.0) -> "Artist":
    """An entry of a legend: a line of some width."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=width, label=meaning)


def save_page(figure: "Figure", path: Path) -> None:
    """Write a picture as PNG, whole or not at all."""
    with atomic_replace(path) as partial:
        figure.savefig(partial, format="png", facecolor=figure.get_facecolor())
