"""Many small pictures on one sheet, composed as one array of pixels.

A plotting library keeps a tree of objects for each picture, each axis and each tick. Here a picture is sampled,
coloured and laid on the sheet by NumPy; Pillow draws lines and letters on top.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray
from ctpdeploy.runtime.report.lines import Lines

__all__ = ["Frame", "Sheet", "outline"]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where something lies on a sheet, in pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int

    def holding(self, shape: tuple[int, int], aspect: float) -> "Frame":
        """The largest frame in the middle of this one for a picture with pixels ``aspect`` times as high as wide."""
        rows, columns = shape[0] * aspect, shape[1]
        scale = min(self.height / rows, self.width / columns)
        width, height = max(round(columns * scale), 1), max(round(rows * scale), 1)
        return Frame(
            left=self.left + (self.width - width) // 2,
            top=self.top + (self.height - height) // 2,
            width=width,
            height=height,
        )

    def over(self, picture: tuple[int, int], lines: Lines) -> Lines:
        """Lines over a picture of some shape, moved to this frame, which it fills."""
        scale = np.array([self.width / picture[1], self.height / picture[0]])
        return replace(lines, points=(self.left, self.top) + (lines.points + 0.5) * scale)

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Sheet:
    """A black sheet.

    Attributes:
        pixels: red, green and blue, uint8 ``(height, width, 3)``.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.zeros((height, width, 3), dtype=np.uint8)

    def show(self, frame: Frame, picture: NDArray[Any], low: float, high: float, colours: NDArray[np.uint8]) -> None:
        """Fill a frame with a picture, its nearest pixels: ``low`` in the first of the colours, ``high`` in the last.

        Where a picture is masked the sheet shows through.
        """
        rows = ((np.arange(frame.height) + 0.5) * picture.shape[0] / frame.height).astype(int)
        columns = ((np.arange(frame.width) + 0.5) * picture.shape[1] / frame.width).astype(int)
        sampled = np.ma.getdata(picture).take(rows, axis=0).take(columns, axis=1).astype(np.float32)
        steps = (sampled - low) * (len(colours) / (high - low))
        coloured = colours.take(np.clip(steps, 0, len(colours) - 1, out=steps).astype(np.uint8), axis=0)
        if np.ma.is_masked(picture):
            coloured[np.ma.getmask(picture).take(rows, axis=0).take(columns, axis=1)] = 0
        self.pixels[frame.place] = coloured

    def show_scale(self, frame: Frame, colours: NDArray[np.uint8]) -> None:
        """Fill a frame with all colours, from left to right, and mark its ends and its middle below."""
        self.pixels[frame.place] = colours[np.arange(frame.width) * len(colours) // frame.width]
        below = frame.top + frame.height
        for column in (frame.left, frame.left + frame.width // 2, frame.left + frame.width):
            self.pixels[below : below + 3, column] = 255


def outline(mask: BoolArray) -> Lines:
    """The borders of a mask."""
    from contourpy import LineType, contour_generator  # comes with matplotlib

    generator = contour_generator(z=mask.astype(np.float64), line_type=LineType.ChunkCombinedOffset)
    found: Any = generator.lines(0.5)
    (points,), (starts,) = found
    if points is None:
        return Lines(points=np.empty((0, 2)), starts=[0])
    return Lines(points=points, starts=starts.tolist())
