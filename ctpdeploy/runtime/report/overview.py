"""``overview.png``: one page on which a reader sees the stroke and how it was found.

Pictures and colour scales are composed as pixels. Pillow draws outlines and letters on top of them, matplotlib the one
curve.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.finding import Severity
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.report.canvas import Frame, Sheet
from ctpdeploy.runtime.report.lines import Strokes, draw_strokes
from ctpdeploy.runtime.report.overview_columns import Column, columns_of
from ctpdeploy.runtime.report.slice_view import NOTICE, View
from ctpdeploy.runtime.report.text import Letters, draw_letters
from ctpdeploy.runtime.report.time_curve import draw_curve

__all__ = ["write_overview"]

_MOST_SLICES: Final = 5
_MOST_FINDINGS: Final = 3
"""Findings shown; more where more are serious."""
_MARKS: Final[dict[Severity, str]] = {"serious": "!!", "caution": "!", "note": "-"}
_SIDE: Final = 175
"""Width and height of one picture in pixels."""
_HEAD: Final = 65
_FOOT: Final = 260
"""Pixels above and below the pictures."""
_OUTLINE: Final = 1.4
"""Width in pixels."""


def write_overview(path: Path, case: Case, prediction: Prediction) -> None:
    """Draw the overview of a case as PNG."""
    view = View.of(case, _choose_slices(prediction.mask))
    columns = columns_of(case, prediction, view)
    width, height = _SIDE * len(columns), _SIDE * len(view.slices) + _HEAD + _FOOT
    page = _Page(height, width)
    for j, column in enumerate(columns):
        share = 0.97 * width / len(columns)
        room = Frame(
            left=round(0.025 * width + j * share),
            top=_HEAD,
            width=round(share - 0.004 * width),
            height=height - _HEAD - _FOOT,
        )
        frame = page.draw(column, room, view.aspect)
        if j == 0:
            page.label(frame, view.slices)
    curve = Frame(left=round(0.02 * width), top=height - 215, width=round(0.44 * width), height=215)
    page.sheet.pixels[curve.place] = draw_curve(case, prediction.outputs.window, curve.width, curve.height)
    page.letters += [
        Letters(text=_finding(case, prediction), x=width / 2, y=height - 183, size=8.5, anchor="ls"),
        Letters(text=case.identifier, x=0.025 * width, y=22, size=12, bold=True),
        Letters(text=INTENDED_USE, x=0.985 * width, y=22, size=9, colour=NOTICE, anchor="rm"),
    ]
    # more than the first level costs twice the time for a fiftieth of the size
    page.image().save(path, compress_level=1)


class _Page:
    """A sheet of pictures, and what is drawn and written on it; places are pixels from the upper left corner."""

    def __init__(self, height: int, width: int) -> None:
        self.sheet = Sheet(height, width)
        self.strokes: list[Strokes] = []
        self.letters: list[Letters] = []

    def draw(self, column: Column, room: Frame, aspect: float) -> Frame:
        """Draw a column with its title, its outlines and its colour scale, and say where its picture lies."""
        colours, picture = _colours(column.colours), column.picture
        frame = room.holding(picture.shape, aspect)
        self.sheet.show(frame, picture, column.low, column.high, colours)
        middle = frame.left + frame.width / 2
        self.letters.append(Letters(text=column.title, x=middle, y=frame.top - 6, size=9, anchor="ms"))
        for lines, colour in column.outlines:
            self.strokes.append(Strokes(lines=frame.over(picture.shape, lines), colour=colour, width=_OUTLINE))
        scale = Frame(
            left=round(room.left + 0.1 * room.width),
            top=room.top + room.height + 7,
            width=round(0.8 * room.width),
            height=9,
        )
        self.sheet.show_scale(scale, colours)
        for share in (0.0, 0.5, 1.0):
            value, x = column.low + share * (column.high - column.low), scale.left + share * scale.width
            self.letters.append(Letters(text=f"{value:g}", x=x, y=scale.top + 22, size=7, anchor="ms"))
        middle = scale.left + scale.width / 2
        self.letters.append(Letters(text=column.unit, x=middle, y=scale.top + 31, size=7, anchor="ms"))
        return frame

    def image(self) -> Image.Image:
        """The page with all that is drawn and written on it."""
        page = Image.fromarray(self.sheet.pixels)
        for strokes in self.strokes:
            draw_strokes(page, strokes)
        draw_letters(page, self.letters)
        return page

    def label(self, frame: Frame, slices: Sequence[int]) -> None:
        """Number the slices, and say which side is which."""
        for i, z in enumerate(slices):
            y = frame.top + (i + 0.5) * frame.height / len(slices)
            left, right = frame.left, frame.left + frame.width
            self.letters += [
                Letters(text=f"slice {z + 1}", x=left - 3, y=y, size=8, anchor="rm", upwards=True),
                Letters(text="R", x=left + 1, y=y, size=8),
                Letters(text="L", x=right - 1, y=y, size=8, anchor="rm"),
            ]


@lru_cache
def _colours(name: str) -> NDArray[np.uint8]:
    """A colour map of matplotlib, ``(256, 3)``."""
    from matplotlib import colormaps  # takes a quarter of a second: only who draws pays for it

    table: NDArray[np.uint8] = colormaps[name](np.arange(256), bytes=True)[:, :3]
    return np.ascontiguousarray(table)


def _choose_slices(mask: BoolArray) -> list[int]:
    """Slices evenly spaced from the top of the head down, the one with most lesion among them."""
    chosen = np.linspace(0, len(mask) - 1, min(len(mask), _MOST_SLICES)).round().astype(int)
    areas = mask.sum(axis=(1, 2))
    if areas.any():
        largest = int(areas.argmax())
        chosen[np.abs(chosen - largest).argmin()] = largest
    return sorted(set(chosen.tolist()), reverse=True)


def _finding(case: Case, prediction: Prediction) -> str:
    """Volumes, components, the engine and the findings in words: every serious one."""
    pieces = prediction.components
    lines = [
        f"Lesion {prediction.volume_ml:.1f} ml in {len(pieces)} piece{'s' * (len(pieces) != 1)} (red, white on maps)"
    ]
    if case.lesion is not None:
        lines[0] += f"; drawn on DWI {case.lesion.sum() * case.geometry.voxel_ml:.1f} ml (green)"
    lines += [f"    {c.volume_ml:.1f} ml, {c.side} side, about slice {c.centroid[0] + 1:.0f}" for c in pieces[:3]]
    engine, seconds = prediction.outputs.engine, prediction.outputs.seconds
    lines.append(f"{engine.backend}, {engine.precision}, networks {seconds['networks']:.2f} s")
    serious = [found for found in prediction.findings if found.severity == "serious"]
    shown = max(_MOST_FINDINGS, len(serious))
    lines += [f"{_MARKS[found.severity]} {found}" for found in prediction.findings[:shown]]
    if (more := len(prediction.findings) - shown) > 0:
        lines.append(f"and {more} more, in report.json")
    if case.geometry.spacing_source == "pixdim":
        lines.append("The affine is the identity: left and right are as in RAS+, as the file states.")
    return "\n".join(lines)
