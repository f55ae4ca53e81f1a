"""``overview.png``: one page with the lesion, and the images and frames it was found from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, Case, IntervalSource
from ctpdeploy.runtime.data.finding import Severity
from ctpdeploy.runtime.data.prediction import Prediction, Side
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.report.canvas import Canvas, wrapped
from ctpdeploy.runtime.report.colours import colour_table
from ctpdeploy.runtime.report.frame import Frame, Lines
from ctpdeploy.runtime.report.overview_columns import Column, columns_of
from ctpdeploy.runtime.report.slice_view import NOTICE, View
from ctpdeploy.runtime.report.time_curve import draw_curve

__all__ = ["write_overview"]

_MOST_SLICES: Final = 5
_MOST_FINDINGS: Final = 3
"""Findings shown; more where more are serious."""
_MARKS: Final[dict[Severity, str]] = {"serious": "!!", "caution": "!", "note": "-"}
_SIDES: Final[dict[Side, str]] = {"left": ", left side", "right": ", right side", "both": ", both sides"}
_STATED: Final[dict[IntervalSource, str]] = {  # an element of DICOM is its own word
    "pixdim": "pixdim[4], no unit stated",
    "xyzt_units": "pixdim[4] in its unit",
    "frame_interval": "given by hand",
    "assumed": "assumed",
    "times": "times of the frames",
}
_SIDE: Final = 175
"""Width and height of one picture in pixels."""
_HEAD: Final = 65
_FOOT: Final = 260
"""Pixels above and below the pictures."""
_CURVE: Final = 215
"""Height of the curve in pixels."""
_TEXT: Final = 8.5
"""Size of the text in points."""
_LINE: Final = 17.7
"""Height of a line of it in pixels."""
_ABOVE_TEXT: Final = 77
"""Pixels from the pictures to the first line of it."""
_OUTLINE: Final = 1.4
"""Width in pixels."""


def write_overview(path: Path, case: Case, prediction: Prediction) -> None:
    """Draw the overview of a case as PNG."""
    view = View.of(case, _choose_slices(prediction.mask))
    columns = columns_of(case, prediction, view)
    width = _SIDE * len(columns)
    text_width = 0.485 * width
    lines = [part for line in _summary(case, prediction) for part in wrapped(line, size=_TEXT, room=text_width)]
    foot = max(_FOOT, round(_ABOVE_TEXT + _LINE * len(lines)))
    height = _SIDE * len(view.slices) + _HEAD + foot
    canvas = Canvas(height, width)
    for j, column in enumerate(columns):
        share = 0.97 * width / len(columns)
        room = Frame(
            left=round(0.025 * width + j * share),
            top=_HEAD,
            width=round(share - 0.004 * width),
            height=height - _HEAD - foot,
        )
        frame = _draw_column(canvas, column, room, view.aspect)
        if j == 0:
            _label(canvas, frame, view.slices, sides=case.geometry.sides_stated)
    curve = Frame(left=round(0.02 * width), top=height - _CURVE, width=round(0.44 * width), height=_CURVE)
    draw_curve(canvas, curve, case, prediction.outputs.window)
    for i, line in enumerate(lines):
        canvas.write(line, width / 2, height - foot + _ABOVE_TEXT + i * _LINE, size=_TEXT, anchor="ls", room=text_width)
    notices = prediction.notices
    canvas.write(case.identifier, 0.025 * width, 22, size=12, bold=True, room=(0.95 - 0.25 * len(notices)) * width)
    canvas.write(" ".join(notices), 0.985 * width, 22, size=9, colour=NOTICE, anchor="rm")
    # more than the first level costs twice the time for a fiftieth of the size
    canvas.image.save(path, compress_level=1)


def _draw_column(canvas: Canvas, column: Column, room: Frame, aspect: float) -> Frame:
    """Draw a column with its title, its outlines and its colour scale; returns where its picture lies."""
    frame = room.holding(column.picture.shape, aspect)
    canvas.show(frame, column.picture, column.low, column.high, colour_table(column.colours))
    for lines, colour in column.outlines:
        canvas.stroke(frame.over(column.picture.shape, lines), colour, _OUTLINE)
    canvas.write(column.title, frame.left + frame.width / 2, frame.top - 6, size=9, anchor="ms")
    scale = Frame(left=room.left + room.width // 10, top=room.bottom + 7, width=round(0.8 * room.width), height=9)
    _draw_scale(canvas, scale, column)
    return frame


def _draw_scale(canvas: Canvas, scale: Frame, column: Column) -> None:
    """Draw all colours from left to right, with what the ends and the middle stand for."""
    colours = colour_table(column.colours)
    canvas.show(scale, np.arange(len(colours))[None], 0, len(colours), colours)
    for share in (0.0, 0.5, 1.0):
        x, value = scale.left + share * scale.width, column.low + share * (column.high - column.low)
        tick = int(x) + 0.5  # the middle of a pixel: sharp
        canvas.stroke(Lines.of([(tick, scale.bottom), (tick, scale.bottom + 3)]), "white", 1.0)
        canvas.write(f"{value:g}", x, scale.top + 22, size=7, anchor="ms")
    canvas.write(column.unit, scale.left + scale.width / 2, scale.top + 31, size=7, anchor="ms")


def _label(canvas: Canvas, frame: Frame, slices: Sequence[int], *, sides: bool) -> None:
    """Number the slices, and mark the sides of the patient where they are known."""
    for i, z in enumerate(slices):
        y = frame.top + (i + 0.5) * frame.height / len(slices)
        canvas.write(f"slice {z + 1}", frame.left - 3, y, size=8, anchor="rm", upwards=True)
        if sides:
            canvas.write("R", frame.left + 1, y, size=8)
            canvas.write("L", frame.right - 1, y, size=8, anchor="rm")


def _choose_slices(mask: BoolArray) -> list[int]:
    """Slices evenly spaced from the top of the head down, the one with most lesion among them."""
    chosen = np.linspace(0, len(mask) - 1, min(len(mask), _MOST_SLICES)).round().astype(int)
    areas = mask.sum(axis=(1, 2))
    if areas.any():
        largest = int(areas.argmax())
        chosen[np.abs(chosen - largest).argmin()] = largest
    return sorted(set(chosen.tolist()), reverse=True)


def _summary(case: Case, prediction: Prediction) -> list[str]:
    """Volumes, components, the engine and the findings in words: every serious one."""
    pieces = prediction.components
    lines = [
        f"Lesion {prediction.volume_ml:.1f} ml in {len(pieces)} piece{'s' * (len(pieces) != 1)} (red, white on maps)"
    ]
    if case.lesion is not None:
        lines[0] += f"; drawn on DWI {case.geometry.volume_ml(case.lesion):.1f} ml (green)"
    lines += [
        f"    {c.volume_ml:.1f} ml{_SIDES[c.side] if c.side else ''}, about slice {c.centroid[0] + 1:.0f}"
        for c in pieces[:3]
    ]
    stated = _STATED.get(case.interval_source, case.interval_source)
    lines.append(f"{len(case.series)} frames, one every {case.frame_interval:.4g} s ({stated})")
    engine, seconds = prediction.outputs.engine, prediction.outputs.seconds
    lines.append(f"{engine.backend}, {engine.precision}, networks {seconds['networks']:.2f} s; {_maps(case)}")
    reached = "" if prediction.card is None else f"; {prediction.card.reached}"
    lines.append(f"lesion above a probability of {prediction.threshold:.2f}{reached}")
    serious = [found for found in prediction.findings if found.severity == "serious"]
    shown = max(_MOST_FINDINGS, len(serious))
    lines += [f"{_MARKS[found.severity]} {found}" for found in prediction.findings[:shown]]
    if (more := len(prediction.findings) - shown) > 0:
        lines.append(f"and {more} more, in report.json")
    if case.geometry.spacing_source == "pixdim" and case.geometry.sides_stated:
        lines.append("The affine is the identity: left and right are as in RAS+, as the file states.")
    return lines


def _maps(case: Case) -> str:
    """Where its maps are from."""
    if case.perfusion is not None:
        return "maps computed"
    if isinstance(case.source, DicomSource):
        return f"maps of {', '.join(dict.fromkeys(case.files[name] for name in MAP_NAMES))}"
    return "maps given"
