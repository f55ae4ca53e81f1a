"""Figure 3: q(t) of single cases with T_s and T_e, and the frames taken between them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.preprocess.perfusion_window import accumulated_intensity
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, window_of
from ctpdeploy.train.reproduction.figures.page import LIGHT, Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_WIDTH, _HEIGHT = 4.4, 2.6
_LEFT, _TOP, _RIGHT, _BOTTOM = 0.6, 0.45, 0.1, 0.45
_NARROWEST = 7.0
"""Inches of a curve with its labels, of the labels alone, and of a page, whose heading needs room."""

_CURVE, _FRAMES, _STAGE = "#1d1d1f", "#0072b2", "#d55e00"


def draw_curves(cases: Sequence[Case], config: PreprocessConfig, *, heading: str, synthetic: bool = False) -> "Figure":
    """Draw a curve for each case, side by side.

    Args:
        cases: whose series.
        config: K and C_e.
        heading: title of the page.
        synthetic: whether the patients are.
    """
    windows = [window_of(accumulated_intensity(case.series), config) for case in cases]
    width = max(_WIDTH, _NARROWEST / len(cases))
    page = Page(
        width * len(cases),
        _HEIGHT,
        ink=LIGHT,
        heading=heading,
        notes=[_explanation(config.run_length), *_fallbacks(cases, windows)],
        synthetic=synthetic,
    )
    for i, (case, window) in enumerate(zip(cases, windows, strict=True)):
        axes = page.axes(i * width + _LEFT, _TOP, width - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
        _draw(axes, case, window)
        if i == 0:
            page.legend(axes.get_legend_handles_labels()[0])
    return page.figure


def _explanation(run_length: int) -> str:
    return (
        "q(t) is the intensity summed over all voxels of a frame; shown is its mean above the first frame. "
        f"$T_s$ begins the first {run_length} rising steps in a row, $T_e$ ends the last {run_length} falling ones."
    )


def _fallbacks(cases: Sequence[Case], windows: Sequence[PerfusionWindow]) -> list[str]:
    """A sentence for each rule that found nothing."""
    pairs = zip(cases, windows, strict=True)
    return [f"{case.identifier}: {found}" for case, window in pairs for found in window.findings]


def _draw(axes: "Axes", case: Case, window: PerfusionWindow) -> None:
    mean, frames = (window.curve - window.curve[0]) / case.series[0].size, list(window.frames)
    start, end = case.times[window.start], case.times[window.end]
    axes.plot(case.times, mean, color=_CURVE, linewidth=1.4, label="$q(t)-q(0)$")
    axes.axvspan(start, end, color=_STAGE, alpha=0.08, linewidth=0, label="$T_s$ to $T_e$")
    axes.plot(case.times[frames], mean[frames], "o", color=_FRAMES, markersize=5.5, label=f"{len(frames)} frames taken")
    for time, name in ((start, "$T_s$"), (end, "$T_e$")):
        axes.axvline(time, color=_STAGE, linewidth=1.0, linestyle="--")
        axes.text(time, 1.02, name, color=_STAGE, fontsize=11, ha="center", transform=axes.get_xaxis_transform())
    axes.set_title(case.identifier, fontsize=10, weight="bold", loc="left", pad=18)
    axes.set_xlabel("time [s]", fontsize=9)
    axes.set_ylabel("mean intensity [HU]", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
