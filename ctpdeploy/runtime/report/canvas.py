"""A black page on which pictures, lines and text are drawn, by NumPy and Pillow.

A plotting library keeps a tree of objects for each picture, each axis and each tick. Here a picture is sampled and
coloured by NumPy, lines are drawn several times as large and reduced, and letters come from the fonts shipped. Places
are pixels from the upper left corner.
"""

import itertools
import unicodedata
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctpdeploy.printable import printable
from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.report.fonts import load_font
from ctpdeploy.runtime.report.frame import Frame, Lines

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw as Pencil
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Canvas", "wrapped"]

_LARGER: Final = 4
_PIXELS_A_POINT: Final = 100 / 72


class Canvas:
    """The page.

    Attributes:
        image: red, green and blue, 8 bits each.
    """

    def __init__(self, height: int, width: int) -> None:
        self.image = Image.new("RGB", (width, height))

    def show(self, frame: Frame, picture: NDArray[Any], low: float, high: float, colours: NDArray[np.uint8]) -> None:
        """Fill a frame with a picture ``(H, W)``, its nearest pixels; what is masked stays black.

        ``low`` has the first of the colours ``(N, 3)``, ``high`` the last.
        """
        rows = ((np.arange(frame.height) + 0.5) * picture.shape[0] / frame.height).astype(int)
        columns = ((np.arange(frame.width) + 0.5) * picture.shape[1] / frame.width).astype(int)
        sampled = np.ma.getdata(picture).take(rows, axis=0).take(columns, axis=1).astype(np.float32)
        steps = (sampled - low) * (len(colours) / (high - low))
        coloured = colours.take(np.clip(steps, 0, len(colours) - 1, out=steps).astype(np.uint8), axis=0)
        if np.ma.is_masked(picture):
            coloured[np.ma.getmask(picture).take(rows, axis=0).take(columns, axis=1)] = 0
        self.image.paste(Image.fromarray(coloured), (frame.left, frame.top))

    def stroke(self, lines: Lines, colour: str, width: float) -> None:
        """Draw lines of a colour, as in CSS, and a width in pixels."""
        if not len(lines.points):
            return
        with self._enlarged(lines.points, colour, width) as (pencil, places):
            for start, end in itertools.pairwise(lines.starts):
                pencil.line(places[2 * start : 2 * end], fill=255, width=round(_LARGER * width))

    def dots(self, points: FloatArray, colour: str, width: float) -> None:
        """Draw discs of a width in pixels around points ``(N, 2)``, each a column and a row."""
        radius = _LARGER * width / 2
        with self._enlarged(points, colour, width) as (pencil, places):
            for x, y in zip(places[::2], places[1::2], strict=True):
                pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

    @contextmanager
    def _enlarged(self, points: FloatArray, colour: str, margin: float) -> Iterator[tuple["Pencil", list[float]]]:
        """A pencil on a larger sheet, which is reduced and laid on the page, and the coordinates of points on it."""
        from PIL import ImageDraw  # loads the machinery of fonts: only who draws pays for it

        left, top = np.floor(points.min(axis=0) - margin).astype(int).tolist()
        right, bottom = np.ceil(points.max(axis=0) + margin).astype(int).tolist()
        cover = Image.new("L", (_LARGER * (right - left), _LARGER * (bottom - top)))
        # Pillow counts from the middle of a pixel
        yield ImageDraw.Draw(cover), (_LARGER * (points - (left, top)) - 0.5).ravel().tolist()
        self.image.paste(colour, (left, top), cover.reduce(_LARGER))

    def write(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float,
        anchor: Literal["ls", "ms", "rs", "lm", "rm"] = "lm",
        colour: str = "white",
        bold: bool = False,
        upwards: bool = False,
        room: float = np.inf,
    ) -> None:
        """Write a line.

        Args:
            text: control characters in it are replaced.
            x: column of the left end of the text, its middle or its right end, by the first letter of ``anchor``.
            y: row of the base line or of the middle of its letters, by the second.
            size: in points, a hundred pixels being 72.
            anchor: as in Pillow.
            colour: as in CSS.
            bold: whether letters are bold.
            upwards: whether the line runs from below upwards, then it ends left of ``x`` and its middle is ``y``.
            room: pixels for the line; where it is longer, its end is replaced by ….

        Raises:
            BackendError: if Pillow was built without FreeType.
        """
        from PIL import ImageDraw

        font = load_font(size * _PIXELS_A_POINT, bold=bold)
        line = _shortened(_printable(text), font, room)
        if not upwards:
            ImageDraw.Draw(self.image).text((x, y), line, fill=colour, font=font, anchor=anchor)
            return
        left, top, right, bottom = (round(edge) for edge in font.getbbox(line))
        word = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(word).text((-left, -top), line, fill=255, font=font)
        word = word.rotate(90, expand=True)
        self.image.paste(colour, (round(x) - word.width, round(y - word.height / 2)), word)


def wrapped(text: str, *, size: float, room: float) -> list[str]:
    """A text as lines that fit, broken between words; a longer word is a line of its own.

    Args:
        text: as for :meth:`Canvas.write`.
        size: in points.
        room: pixels for a line.
    """
    font = load_font(size * _PIXELS_A_POINT, bold=False)
    lines, indent = [""], len(text) - len(text.lstrip())
    for word in _printable(text).split():
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else " " * indent + word
        if lines[-1].strip() and font.getlength(longer) > room:
            lines.append("    " + word)
        else:
            lines[-1] = longer
    return lines


def _printable(text: str) -> str:
    """Accents joined to their letters, and a sign in place of control characters and of halves of others."""
    return printable(unicodedata.normalize("NFC", text))


def _shortened(text: str, font: "FreeTypeFont", room: float) -> str:
    """As much of a text as there is room for, and … where some of it is missing."""
    if font.getlength(text) <= room:
        return text
    fitting = bisect(range(len(text)), room, key=lambda count: font.getlength(text[:count] + "…"))
    return text[: max(fitting - 1, 0)] + "…"
