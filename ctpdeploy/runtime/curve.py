"""The curve of ``overview.png``: q(t), the perfusion window and the frames taken from it."""

import math
from typing import Final

import numpy as np

from ctpdeploy.runtime.case import Case, FloatArray
from ctpdeploy.runtime.letters import Letters
from ctpdeploy.runtime.sheet import Frame
from ctpdeploy.runtime.strokes import Lines, Strokes, dashes
from ctpdeploy.runtime.view import NOTICE
from ctpdeploy.runtime.window import PerfusionWindow

__all__ = ["draw_curve", "ticks"]

_QUIET, _TAKEN = "#aeaeb2", "#0a84ff"
_TICK: Final = 5
"""Length of a tick in pixels."""
_DOT: Final = 3.3
"""Radius in pixels."""
_MARGIN: Final = 0.05
"""Share of the range that is left on either side of a curve."""
_STEPS: Final = 6
"""At most, between ticks."""


def draw_curve(frame: Frame, case: Case, window: PerfusionWindow) -> tuple[list[Strokes], list[Letters]]:
    """q(t) as mean HU above its first frame, with T_s, T_e and the frames taken between them.

    Args:
        frame: the room between the axes; their numbers and names stand outside of it.
        case: what was read.
        window: of the case.

    Returns:
        Lines and letters to draw.
    """
    mean = (window.curve - window.curve[0]) / case.series[0].size
    left, right, top, bottom = frame.left, frame.left + frame.width, frame.top, frame.top + frame.height
    across, up = _Axis(case.times, left, right), _Axis(mean, bottom, top)
    points = np.stack([across.place(case.times), up.place(mean)], axis=1)
    x, y = right - 262, top + 10  # of the legend
    taken = Lines.rings([*points[list(window.frames)], (x - 20, y + 15)], _DOT)
    strokes = [
        Strokes(lines=Lines.of([(left, top), (left, bottom), (right, bottom)]), colour=_QUIET, width=1),
        Strokes(lines=Lines.of(points, [(x - 32, y), (x - 8, y)]), colour=_QUIET, width=1.7),
        Strokes(lines=taken, colour=_TAKEN, width=None),
    ]
    letters = [
        Letters(text="q(t) above its first frame, mean of the volume", x=x, y=y, size=7),
        Letters(text="frames taken", x=x, y=y + 15, size=7),
        Letters(text="time [s]", x=(left + right) / 2, y=bottom + 34, size=8, anchor="ms"),
        Letters(text="HU", x=left - 30, y=(top + bottom) / 2, size=8, anchor="rm", upwards=True),
    ]
    marks: list[list[tuple[float, float]]] = []
    for value, text in ticks(across.low, across.high):
        column = float(across.place(value))
        marks.append([(column, bottom), (column, bottom + _TICK)])
        letters.append(Letters(text=text, x=column, y=bottom + 18, size=7, anchor="ms"))
    for value, text in ticks(up.low, up.high):
        row = float(up.place(value))
        marks.append([(left - _TICK, row), (left, row)])
        letters.append(Letters(text=text, x=left - _TICK - 4, y=row, size=7, anchor="rm"))
    strokes.append(Strokes(lines=Lines.of(*marks), colour="white", width=1))
    for index, name in ((window.start, "Tₛ"), (window.end, "Tₑ")):
        column = float(points[index, 0])
        strokes.append(Strokes(lines=dashes((column, bottom), (column, top), 5), colour=NOTICE, width=1.1))
        letters.append(Letters(text=name, x=column, y=top - 5, size=9, anchor="ms", colour=NOTICE))
    return strokes, letters


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values in a range and how they are written, seven at most."""
    least = (high - low) / _STEPS
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [(number * step, f"{number * step:g}") for number in range(first, last + 1)]


class _Axis:
    """Values along a row or a column of pixels, with room before the least and behind the largest."""

    def __init__(self, values: FloatArray, start: float, end: float) -> None:
        low, high = float(values.min()), float(values.max())
        margin = _MARGIN * (high - low) or 1.0
        self.low, self.high = low - margin, high + margin
        self._start, self._scale = start, (end - start) / (self.high - self.low)

    def place(self, value: FloatArray | float) -> FloatArray:
        """The pixel of a value."""
        return np.asarray(self._start + (value - self.low) * self._scale)
