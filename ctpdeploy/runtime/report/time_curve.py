"""The curve of ``overview.png``: q(t), the perfusion window and the frames taken from it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import Case, FloatArray
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.report.canvas import Canvas
from ctpdeploy.runtime.report.frame import Frame, Lines
from ctpdeploy.runtime.report.slice_view import NOTICE

__all__ = ["draw_curve"]

_QUIET, _TAKEN = "#aeaeb2", "#0a84ff"
_LEFT, _RIGHT, _ABOVE, _BELOW = 60, 5, 20, 56
"""Pixels for what stands beside the axes."""
_APART: Final = (75, 25)
"""Pixels between ticks at least, across and up."""
_TICK: Final = 5
"""Length in pixels."""
_DASH, _GAP = 4.0, 2.0
_WIDTH, _DOT = 1.75, 7.0
"""Of the curve and of a frame on it."""


def draw_curve(canvas: Canvas, frame: Frame, case: Case, window: PerfusionWindow) -> None:
    """Draw q(t) as mean HU above its first frame, with T_s, T_e and the frames taken between them.

    Args:
        canvas: to draw on.
        frame: where on it.
        case: as read.
        window: of the case.
    """
    room = Frame(
        left=frame.left + _LEFT,
        top=frame.top + _ABOVE,
        width=frame.width - _LEFT - _RIGHT,
        height=frame.height - _ABOVE - _BELOW,
    )
    mean = (window.curve - window.curve[0]) / case.series[0].size
    across = _Axis.of(case.times, room.left, room.right, _APART[0])
    up = _Axis.of(mean, room.bottom, room.top, _APART[1])
    curve = np.stack([across.place(case.times), up.place(mean)], axis=1)
    _draw_axes(canvas, room, across, up)
    canvas.stroke(Lines.of(curve), _QUIET, _WIDTH)
    canvas.dots(curve[list(window.frames)], _TAKEN, _DOT)
    for index, name in ((window.start, "s"), (window.end, "e")):
        x, tops = np.floor(curve[index, 0]) + 0.5, np.arange(room.top, room.bottom, _DASH + _GAP)
        canvas.stroke(Lines.of(*([(x, y), (x, min(y + _DASH, room.bottom))] for y in tops)), NOTICE, 1.0)
        canvas.write("T", x, room.top - 6, size=9, anchor="rs", colour=NOTICE)
        canvas.write(name, x, room.top - 3, size=7, anchor="ls", colour=NOTICE)
    taken = "middles of the frames averaged" if window.averages else "frames taken"
    _draw_legend(canvas, room, frame.bottom - 9, taken)


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """Pixels of the values along one side.

    Attributes:
        low: value at the first pixel.
        high: value at the last one.
        first: the first pixel.
        last: the last one; left of the first, or above, if it is smaller.
        apart: pixels between ticks at least.
    """

    low: float
    high: float
    first: int
    last: int
    apart: int

    @classmethod
    def of(cls, values: FloatArray, first: int, last: int, apart: int) -> "_Axis":
        """An axis for all of these values, and a twentieth more at both ends."""
        low, high = float(values.min()), float(values.max())
        margin = 0.05 * (high - low) or 0.5
        return cls(low=low - margin, high=high + margin, first=first, last=last, apart=apart)

    def place(self, values: FloatArray) -> FloatArray:
        """Pixel positions of values."""
        return self.first + (values - self.low) * (self.last - self.first) / (self.high - self.low)

    def ticks(self) -> FloatArray:
        """Values to mark: multiples of 1, 2 or 5 times a power of ten, as many as there is room for."""
        least = (self.high - self.low) * self.apart / abs(self.last - self.first)
        power = 10.0 ** np.floor(np.log10(least))
        step = power * next((factor for factor in (1, 2, 5) if factor * power >= least), 10)
        return np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 1) * step


def _draw_axes(canvas: Canvas, room: Frame, across: _Axis, up: _Axis) -> None:
    """Two axes with ticks, numbers and units."""
    left, bottom = room.left + 0.5, room.bottom + 0.5  # the middle of a pixel: sharp
    lines = [[(left, room.top), (left, bottom)], [(left, bottom), (room.right, bottom)]]
    for value, place in zip(across.ticks(), across.place(across.ticks()), strict=True):
        lines.append([(x := np.floor(place) + 0.5, bottom), (x, bottom + _TICK)])
        canvas.write(_number(value), x, bottom + _TICK + 10, size=7, anchor="ms")
    for value, place in zip(up.ticks(), up.place(up.ticks()), strict=True):
        lines.append([(left - _TICK, y := np.floor(place) + 0.5), (left, y)])
        canvas.write(_number(value), left - _TICK - 3, y, size=7, anchor="rm")
    canvas.stroke(Lines.of(*lines), _QUIET, 1.0)
    canvas.write("time [s]", (room.left + room.right) / 2, bottom + _TICK + 25, size=8, anchor="ms")
    canvas.write("HU", left - _TICK - 3, room.top - 11, size=8, anchor="rm")


def _draw_legend(canvas: Canvas, room: Frame, y: float, taken: str) -> None:
    """A legend in one line below the axes, where it hides nothing of the curve."""
    left, middle = room.left, room.left + 0.65 * room.width
    canvas.stroke(Lines.of([(left, y), (left + 22, y)]), _QUIET, _WIDTH)
    canvas.write("q(t) above its first frame, mean of the volume", left + 30, y, size=7)
    canvas.dots(np.array([(middle, y)]), _TAKEN, _DOT)
    canvas.write(taken, middle + 10, y, size=7)


def _number(value: float) -> str:
    """Of a tick: no more digits than it needs, no zero below zero."""
    return f"{value + 0.0:g}".replace("-", "−")
