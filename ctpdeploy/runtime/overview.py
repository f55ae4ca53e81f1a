"""``overview.png``: one page on which a reader sees the stroke and how it was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.case import MAP_UNITS, BoolArray, Case
from ctpdeploy.runtime.postprocess import Prediction
from ctpdeploy.runtime.view import MAP_RANGES, NOTICE, TRUTH, View, mark_sides

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["write_overview"]

_MOST_SLICES = 5
_INCHES = 1.75
"""Width and height of one picture."""
_HEAD, _FOOT = 0.65, 2.6
"""Inches above and below the pictures."""

_LESION, _QUIET = "#ff3b30", "#aeaeb2"


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One kind of picture, drawn for every slice shown; contours are pairs of a mask and a colour."""

    title: str
    volume: NDArray[Any]
    low: float
    high: float
    unit: str
    colours: str = "gray"
    contours: tuple[tuple[BoolArray, str], ...] = ()


def write_overview(path: Path, case: Case, prediction: Prediction) -> None:
    """Draw the overview of a case as PNG."""
    # matplotlib takes a third of a second to import: only who draws pays for it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, view = _columns(case, prediction), View.of(case, _choose_slices(prediction.mask))
    width, pictures = _INCHES * len(columns), _INCHES * len(view.slices)
    height = pictures + _HEAD + _FOOT
    figure = Figure(figsize=(width, height), dpi=100, facecolor="black")
    FigureCanvasAgg(figure)
    bottom = _FOOT / height
    for j, column in enumerate(columns):
        left, share = 0.025 + 0.97 * j / len(columns), 0.97 / len(columns) - 0.004
        axes = figure.add_axes((left, bottom, share, pictures / height))
        image = _draw(axes, column, view)
        if j == 0:
            _label(axes, view)
        bar_axes = figure.add_axes((left + 0.1 * share, bottom - 0.16 / height, 0.8 * share, 0.09 / height))
        bar = figure.colorbar(image, cax=bar_axes, orientation="horizontal")
        bar.set_ticks([column.low, (column.low + column.high) / 2, column.high])
        bar.ax.tick_params(colors="white", labelsize=7, length=2, pad=1)
        bar.set_label(column.unit, color="white", fontsize=7, labelpad=0)
    _draw_curve(figure.add_axes((0.06, 0.5 / height, 0.4, 1.45 / height)), case, prediction)
    figure.text(0.5, 1.95 / height, _finding(case, prediction), color="white", fontsize=8.5, va="top", linespacing=1.5)
    title = 1 - 0.22 / height
    figure.text(0.025, title, case.identifier, color="white", fontsize=12, weight="bold", va="center")
    figure.text(0.985, title, INTENDED_USE, color=NOTICE, fontsize=9, ha="right", va="center")
    figure.savefig(path, facecolor="black")


def _choose_slices(mask: BoolArray) -> list[int]:
    """Slices evenly spaced from the top of the head down, the one with most lesion among them."""
    chosen = np.linspace(0, len(mask) - 1, min(len(mask), _MOST_SLICES)).round().astype(int)
    areas = mask.sum(axis=(1, 2))
    if areas.any():
        largest = int(areas.argmax())
        chosen[np.abs(chosen - largest).argmin()] = largest
    return sorted(set(chosen.tolist()), reverse=True)


def _label(axes: "Axes", view: View) -> None:
    """Number the slices, and say which side is which."""
    for i, z in enumerate(view.slices):
        middle = 1 - (i + 0.5) / len(view.slices)
        style: dict[str, Any] = {"color": "white", "fontsize": 8, "va": "center", "transform": axes.transAxes}
        axes.text(-0.02, middle, f"slice {z + 1}", rotation=90, ha="right", **style)
        mark_sides(axes, middle)


def _columns(case: Case, prediction: Prediction) -> list[_Column]:
    """What is shown of each slice, from left to right."""
    native = case.series[: max(prediction.window.start, 1)].mean(axis=0, dtype=np.float32)
    red, white = ((prediction.mask, _LESION),), ((prediction.mask, "white"),)
    columns = [
        _Column(title="CT before contrast", volume=native, low=0, high=80, unit="HU"),
        _Column(title="maximum over time", volume=case.series.max(axis=0), low=0, high=200, unit="HU"),
        *(
            _Column(
                title="Tmax" if name == "tmax" else name.upper(),
                volume=np.ma.masked_less_equal(case.maps[name], 0),
                low=0,
                high=high,
                unit=MAP_UNITS[name],
                colours="turbo",
                contours=white if name in ("cbf", "tmax") else (),
            )
            for name, high in MAP_RANGES.items()
        ),
    ]
    if prediction.pseudo_dwi is not None:
        columns.append(
            _Column(title="pseudo-DWI", volume=prediction.pseudo_dwi, low=0, high=1, unit="scaled", contours=red)
        )
    columns.append(
        _Column(title="lesion", volume=prediction.probability, low=0, high=1, unit="probability", colours="inferno")
    )
    if case.dwi is not None:
        truth = ((case.lesion, TRUTH),) if case.lesion is not None else ()
        high = float(f"{np.percentile(case.dwi, 99):.2g}")
        columns.append(
            _Column(title="true DWI", volume=case.dwi, low=0, high=high, unit="own units", contours=(*red, *truth))
        )
    return columns


def _draw(axes: "Axes", column: _Column, view: View) -> "AxesImage":
    """All slices of one kind."""
    axes.set_axis_off()
    axes.set_title(column.title, color="white", fontsize=9, pad=4)
    image = axes.imshow(
        view.montage(column.volume),
        cmap=column.colours,
        vmin=column.low,
        vmax=column.high,
        aspect=view.aspect,
        interpolation="nearest",
    )
    for mask, colour in column.contours:
        if mask[view.slices].any():
            axes.contour(view.montage(mask), levels=[0.5], colors=colour, linewidths=0.9)
    return image


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
