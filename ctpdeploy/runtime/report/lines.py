"""Lines on pixels with smooth edges, by Pillow: drawn several times as large, and reduced."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Lines", "Strokes", "draw_strokes"]

_LARGER: Final = 4


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines, all of their points in one array: of specks there may be thousands.

    Attributes:
        points: of one line after the other, each a column and a row, ``(N, 2)``.
        starts: index of the first point of each, and behind the last N.
    """

    points: FloatArray
    starts: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Strokes:
    """Lines and how they are drawn.

    Attributes:
        lines: in pixels from the upper left corner of the page.
        colour: as in CSS.
        width: in pixels.
    """

    lines: Lines
    colour: str
    width: float


def draw_strokes(page: Image.Image, strokes: Strokes) -> None:
    """Draw lines onto a page."""
    points, starts = strokes.lines.points, strokes.lines.starts
    if not len(points):
        return
    left, top = np.floor(points.min(axis=0) - strokes.width).astype(int).tolist()
    right, bottom = np.ceil(points.max(axis=0) + strokes.width).astype(int).tolist()
    cover = Image.new("L", (_LARGER * (right - left), _LARGER * (bottom - top)))
    draw = ImageDraw.Draw(cover)
    places = (_LARGER * (points - (left, top)) - 0.5).ravel().tolist()  # Pillow counts from the middle of a pixel
    for start, end in itertools.pairwise(starts):
        draw.line(places[2 * start : 2 * end], fill=255, width=round(_LARGER * strokes.width))
    page.paste(strokes.colour, (left, top), cover.reduce(_LARGER))
