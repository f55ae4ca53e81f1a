"""Lines on pixels with smooth edges, by Pillow: drawn several times as large, and reduced."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from ctpdeploy.runtime.case import FloatArray

__all__ = ["Lines", "Strokes", "dashes", "draw_strokes"]

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

    @classmethod
    def of(cls, *lines: Sequence[tuple[float, float]] | FloatArray) -> "Lines":
        """At least one line from its points."""
        return cls(points=np.concatenate(lines), starts=[0, *itertools.accumulate(map(len, lines))])

    @classmethod
    def rings(cls, centres: Sequence[tuple[float, float] | FloatArray], radius: float) -> "Lines":
        """At least one circle."""
        angles = np.linspace(0.0, 2.0 * np.pi, 25)
        circle = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return cls.of(*(circle + centre for centre in centres))


@dataclass(frozen=True, kw_only=True)
class Strokes:
    """Lines and how they are drawn.

    Attributes:
        lines: in pixels from the upper left corner of the page.
        colour: as in CSS.
        width: in pixels; None fills the area that each line goes around.
    """

    lines: Lines
    colour: str
    width: float | None


def draw_strokes(page: Image.Image, strokes: Strokes) -> None:
    """Draw lines onto a page."""
    points, starts = strokes.lines.points, strokes.lines.starts
    if not len(points):
        return
    margin = strokes.width or 0.0
    left, top = np.floor(points.min(axis=0) - margin).astype(int).tolist()
    right, bottom = np.ceil(points.max(axis=0) + margin).astype(int).tolist()
    cover = Image.new("L", (_LARGER * (right - left), _LARGER * (bottom - top)))
    draw = ImageDraw.Draw(cover)
    places = (_LARGER * (points - (left, top)) - 0.5).ravel().tolist()  # Pillow counts from the middle of a pixel
    for start, end in itertools.pairwise(starts):
        if strokes.width is None:
            draw.polygon(places[2 * start : 2 * end], fill=255)
        else:
            draw.line(places[2 * start : 2 * end], fill=255, width=round(_LARGER * strokes.width))
    page.paste(strokes.colour, (left, top), cover.reduce(_LARGER))


def dashes(start: tuple[float, float], end: tuple[float, float], length: float) -> Lines:
    """A straight line in pieces of a length, with gaps of half of it."""
    whole = math.dist(start, end)
    along = (np.array(end) - start) / whole
    return Lines.of(
        *(
            np.array(start) + np.outer((begun, min(begun + length, whole)), along)
            for begun in np.arange(0.0, whole, 1.5 * length)
        )
    )
