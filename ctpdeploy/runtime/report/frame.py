"""Page coordinates, in pixels from the upper left corner: rectangles, and lines over the pictures in them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Frame", "Lines"]


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
        """One or more lines, each a column and a row for every point."""
        return cls(points=np.concatenate(lines), starts=[0, *itertools.accumulate(map(len, lines))])


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A rectangle of pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

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
