"""``overview.png``: one page on which a reader sees the stroke and how it was found.

Pictures and colour scales are composed as pixels; matplotlib draws letters, outlines and the one curve on top of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.case import BoolArray, Case
from ctpdeploy.runtime.columns import Column, columns_of
from ctpdeploy.runtime.letters import Letters, draw_letters
from ctpdeploy.runtime.postprocess import Prediction
from ctpdeploy.runtime.sheet import Frame, Sheet, outline
from ctpdeploy.runtime.view import NOTICE, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

__all__ = ["write_overview"]

_MOST_SLICES: Final = 5
_DPI: Final = 100
_SIDE: Final = 175
"""Width and height of one picture in pixels."""
_HEAD: Final = 65
_FOOT: Final = 260
"""Pixels above and below the pictures."""

_QUIET: Final = "#aeaeb2"


def write_overview(path: Path, case: Case, prediction: Prediction) -> None:
    """Draw the overview of a case as PNG."""
    # matplotlib takes a third of a second to import: only who draws pays for it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    view = View.of(case, _choose_slices(prediction.mask))
    columns = columns_of(case, prediction, view)
    width, height = _SIDE * len(columns), _SIDE * len(view.slices) + _HEAD + _FOOT
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="none")
    canvas = FigureCanvasAgg(figure)
    page = _Page(figure, Sheet(height, width))
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
    _draw_curve(figure.add_axes((0.06, 50 / height, 0.4, 145 / height)), case, prediction)
    page.letters += [
        Letters(text=_finding(case, prediction), x=width / 2, y=height - 183, size=8.5, anchor="ls"),
        Letters(text=case.identifier, x=0.025 * width, y=22, size=12, bold=True),
        Letters(text=INTENDED_USE, x=0.985 * width, y=22, size=9, colour=NOTICE, anchor="rm"),
    ]
    # more than the first level costs twice the time for a fiftieth of the size
    Image.fromarray(page.pixels(canvas)).save(path, compress_level=1)


class _Page:
    """A sheet of pictures, and the figure that writes and draws on it; places are pixels from the upper left corner."""

    def __init__(self, figure: "Figure", sheet: Sheet) -> None:
        self.figure = figure
        self.sheet = sheet
        self.letters: list[Letters] = []

    def draw(self, column: Column, room: Frame, aspect: float) -> Frame:
        """Draw a column with its title, its outlines and its colour scale, and say where its picture lies."""
        from matplotlib import colormaps
        from matplotlib.collections import LineCollection
        from matplotlib.transforms import IdentityTransform

        colours = colormaps[column.colours](np.arange(256), bytes=True)[:, :3]
        frame = room.holding(column.picture.shape, aspect)
        self.sheet.show(frame, column.picture, column.low, column.high, colours)
        middle = frame.left + frame.width / 2
        self.letters.append(Letters(text=column.title, x=middle, y=frame.top - 6, size=9, anchor="ms"))
        for mask, colour in column.outlines:
            lines = self.sheet.lines(frame, mask.shape, outline(mask))
            self.figure.add_artist(LineCollection(lines, colors=colour, linewidths=0.9, transform=IdentityTransform()))
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

    def pixels(self, canvas: "FigureCanvasAgg") -> NDArray[np.uint8]:
        """Red, green and blue of the page, with all that the figure has drawn by its canvas on top of the sheet."""
        renderer: Any = canvas.get_renderer()  # type: ignore[no-untyped-call]
        opaque = np.full((*self.sheet.pixels.shape[:2], 1), 255, dtype=np.uint8)
        # a renderer takes pictures upside down
        renderer.draw_image(renderer.new_gc(), 0, 0, np.concatenate([self.sheet.pixels, opaque], axis=2)[::-1])
        self.figure.draw(renderer)
        return draw_letters(np.asarray(renderer.buffer_rgba())[..., :3], self.letters)

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


def _choose_slices(mask: BoolArray) -> list[int]:
    """Slices evenly spaced from the top of the head down, the one with most lesion among them."""
    chosen = np.linspace(0, len(mask) - 1, min(len(mask), _MOST_SLICES)).round().astype(int)
    areas = mask.sum(axis=(1, 2))
    if areas.any():
        largest = int(areas.argmax())
        chosen[np.abs(chosen - largest).argmin()] = largest
    return sorted(set(chosen.tolist()), reverse=True)


def _draw_curve(axes: "Axes", case: Case, prediction: Prediction) -> None:
    """q(t) as mean HU above its first frame, with T_s, T_e and the frames taken between them."""
    window = prediction.window
    mean = (window.curve - window.curve[0]) / case.series[0].size
    frames = list(window.frames)
    axes.set_facecolor("black")
    axes.plot(case.times, mean, color=_QUIET, linewidth=1.2, label="q(t) above its first frame, mean of the volume")
    axes.plot(case.times[frames], mean[frames], "o", color="#0a84ff", markersize=4, label="frames taken")
    for index, name in ((window.start, "$T_s$"), (window.end, "$T_e$")):
        axes.axvline(case.times[index], color=NOTICE, linewidth=0.8, linestyle="--")
        axes.text(
            case.times[index], 1.02, name, color=NOTICE, fontsize=9, ha="center", transform=axes.get_xaxis_transform()
        )
    axes.set_xlabel("time [s]", color="white", fontsize=8, labelpad=1)
    axes.set_ylabel("HU", color="white", fontsize=8)
    axes.tick_params(colors="white", labelsize=7)
    axes.spines[["bottom", "left"]].set_color(_QUIET)
    axes.legend(fontsize=7, facecolor="black", edgecolor="none", labelcolor="white", loc="upper right")


def _finding(case: Case, prediction: Prediction) -> str:
    """Volumes, components, what ran, and the quality flags in words."""
    pieces = prediction.components
    lines = [
        f"Lesion {prediction.volume_ml:.1f} ml in {len(pieces)} piece{'s' * (len(pieces) != 1)} (red, white on maps)"
    ]
    if case.lesion is not None:
        lines[0] += f"; drawn on DWI {case.lesion.sum() * case.geometry.voxel_ml:.1f} ml (green)"
    lines += [f"    {c.volume_ml:.1f} ml, {c.side} side, about slice {c.centroid[0] + 1:.0f}" for c in pieces[:3]]
    engine = prediction.engine
    lines.append(f"{engine.backend}, {engine.precision}, networks {prediction.seconds['networks']:.2f} s")
    lines += [f"! {warning}" for warning in prediction.warnings[:3]]
    if case.geometry.spacing_source == "pixdim":
        lines.append("The affine is the identity: left and right are as in RAS+, as the file states.")
    return "\n".join(lines)
