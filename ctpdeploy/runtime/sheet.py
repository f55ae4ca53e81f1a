"""Many small pictures on one sheet, composed as one array of pixels.

A plotting library keeps a tree of objects for each picture, each axis and each tick. Here a picture is sampled,
coloured and laid on the sheet by NumPy; the library draws lines and letters on top.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.case import BoolArray

__all__ = ["Frame", "Line", "Sheet", "outline"]

Line = NDArray[np.float64]
"""Points ``(N, 2)``, each a column and a row."""


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
        rows = (np.arange(frame.height) + 0.5) * picture.shape[0] / frame.height
        columns = (np.arange(frame.width) + 0.5) * picture.shape[1] / frame.width
        sampled = picture[np.ix_(rows.astype(int), columns.astype(int))]
        steps = (np.ma.getdata(sampled).astype(np.float32) - low) * (len(colours) / (high - low))
        coloured = colours[np.clip(steps, 0, len(colours) - 1).astype(np.intp)]
        self.pixels[frame.place] = np.where(np.ma.getmaskarray(sampled)[..., None], 0, coloured)

    def show_scale(self, frame: Frame, colours: NDArray[np.uint8]) -> None:
        """Fill a frame with all colours, from left to right, and mark its ends and its middle below."""
        self.pixels[frame.place] = colours[np.arange(frame.width) * len(colours) // frame.width]
        below = frame.top + frame.height
        for column in (frame.left, frame.left + frame.width // 2, frame.left + frame.width):
            self.pixels[below : below + 3, column] = 255

    def lines(self, frame: Frame, picture: tuple[int, int], lines: list[Line]) -> list[Line]:
        """Lines over a picture of some shape, moved to the frame that it fills, from the lower left corner."""
        scale = np.array([frame.width / picture[1], -frame.height / picture[0]])
        corner = np.array([frame.left, len(self.pixels) - frame.top], dtype=np.float64)
        return [corner + (line + 0.5) * scale for line in lines]


def outline(mask: BoolArray) -> list[Line]:
    """The borders of a mask."""
    from contourpy import contour_generator  # comes with matplotlib

    return cast("list[Line]", contour_generator(z=mask.astype(np.float64)).lines(0.5))
