"""The curve of ``overview.png``: q(t), the perfusion window and the frames taken from it, by matplotlib."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.report.slice_view import NOTICE

__all__ = ["draw_curve"]

_DPI: Final = 100
_QUIET: Final = "#aeaeb2"
_LEFT, _BELOW, _ABOVE = 60, 50, 20
"""Pixels for what stands beside the axes."""


def draw_curve(case: Case, window: PerfusionWindow, width: int, height: int) -> NDArray[np.uint8]:
    """q(t) as mean HU above its first frame, with T_s, T_e and the frames taken between them.

    Args:
        case: what was read.
        window: of the case.
        width: of the picture in pixels.
        height: likewise.

    Returns:
        Red, green and blue, ``(height, width, 3)``.
    """
    # matplotlib takes a third of a second to import: only who draws pays for it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="black")
    canvas: Any = FigureCanvasAgg(figure)
    across, up = 1 - (_LEFT + 5) / width, 1 - (_BELOW + _ABOVE) / height
    axes = figure.add_axes((_LEFT / width, _BELOW / height, across, up), facecolor="black")
    mean, frames = (window.curve - window.curve[0]) / case.series[0].size, list(window.frames)
    axes.plot(case.times, mean, color=_QUIET, linewidth=1.2, label="q(t) above its first frame, mean of the volume")
    axes.plot(case.times[frames], mean[frames], "o", color="#0a84ff", markersize=4, label="frames taken")
    on_axis: dict[str, Any] = {"ha": "center", "transform": axes.get_xaxis_transform()}
    for index, name in ((window.start, "$T_s$"), (window.end, "$T_e$")):
        axes.axvline(case.times[index], color=NOTICE, linewidth=0.8, linestyle="--")
        axes.text(case.times[index], 1.02, name, color=NOTICE, fontsize=9, **on_axis)
    axes.set_xlabel("time [s]", color="white", fontsize=8, labelpad=1)
    axes.set_ylabel("HU", color="white", fontsize=8)
    axes.tick_params(colors="white", labelsize=7)
    axes.spines[["bottom", "left"]].set_color(_QUIET)
    axes.legend(fontsize=7, facecolor="black", edgecolor="none", labelcolor="white", loc="upper right")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
