"""Panels of figures 6 to 9 for a case: input and output of each segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi
from ctpdeploy.runtime.report.slice_view import MAP_RANGES
from ctpdeploy.train.reproduction.figures.figure_cases import ShownCase

__all__ = ["Grid", "Panel", "Picture", "explain", "make_grid"]

_SEEN = " (seen)"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A volume ``(D, H, W)``, how it is shown, and in words what its shades stand for."""

    name: str
    scale: str
    volume: NDArray[Any]
    low: float = 0.0
    high: float = 1.0
    colours: str = "gray"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A picture with the outlines of the lesion drawn and of the segmentation, and a line below."""

    picture: Picture
    lesion: BoolArray | None = None
    segmentation: BoolArray | None = None
    caption: str = ""


Grid = Sequence[Sequence[Panel]]
"""Panels of a case, line by line."""


def make_grid(shown: ShownCase, systems: Sequence[str], config: PreprocessConfig) -> Grid:
    """Panels of a case; the first columns show the patient, the others a system each.

    Above stands the segmenter's input: the pseudo-DWI, the real DWI, Tmax for the maps or the maximum of the frames;
    below it the segmentation and the lesion drawn, on the real DWI or, where there is none, on Tmax. Where all have the
    maps alone as input, that is one line.

    Args:
        shown: the case, with a prediction of each system.
        systems: names, in the order of the columns.
        config: how the DWI is scaled.
    """
    tmax, background = Panel(picture=_tmax(shown.case)), _background(shown.case, config)
    truth = Panel(picture=background, lesion=shown.lesion)
    results = [_result(shown, system, background) for system in systems]
    if all(SYSTEMS[system].sees == ("maps",) for system in systems):
        return [[tmax, truth, *results]]
    return [[tmax, *(Panel(picture=_input(shown, system, config)) for system in systems)], [truth, *results]]


def explain(grids: Sequence[Grid]) -> str:
    """A note on the shades and captions of the panels."""
    panels = [panel for grid in grids for line in grid for panel in line]
    scales = dict.fromkeys(panel.picture.scale for panel in panels)
    text = f"The slice with most lesion; Dice of the whole scan. {', '.join(scales)}."
    if any(panel.caption.endswith(_SEEN) for panel in panels):
        text += f"{_SEEN}: the run was trained on the case, or its best epoch chosen by it."
    return text


def _result(shown: ShownCase, system: str, background: Picture) -> Panel:
    """The segmentation, with its Dice over the whole scan."""
    mask = shown.predictions[system].mask
    dice = agreement(mask, shown.lesion, shown.case.geometry.voxel_ml).dice
    caption = f"Dice {dice:.2f}" + _SEEN * (system in shown.seen_by)
    return Panel(picture=background, lesion=shown.lesion, segmentation=mask, caption=caption)


def _input(shown: ShownCase, system: str, config: PreprocessConfig) -> Picture:
    """The input of the segmenter, as one picture."""
    sees, found = SYSTEMS[system].sees, shown.predictions[system]
    if found.pseudo_dwi is not None:
        return Picture(name="pseudo-DWI", scale="pseudo-DWI 0 to 1", volume=found.pseudo_dwi)
    if "dwi" in sees:
        return _background(shown.case, config)
    return _frames(shown.case, found.outputs.window.frames, config) if "frames" in sees else _tmax(shown.case)


def _frames(case: Case, frames: Sequence[int], config: PreprocessConfig) -> Picture:
    low, high = config.cta_window
    return Picture(
        name=f"max. of {len(frames)} frames",
        scale=f"frames {low:g} to {high:g} HU",
        volume=case.series[list(frames)].max(axis=0),
        low=low,
        high=high,
    )


def _tmax(case: Case, *, grey: bool = False) -> Picture:
    """In the colours of the overview, black where there is none; in grey to outline lesions on."""
    high, volume = MAP_RANGES["tmax"], case.maps["tmax"]
    return Picture(
        name="Tmax",
        scale=f"Tmax 0 to {high:g} s",
        volume=volume if grey else np.ma.masked_less_equal(volume, 0),
        high=high,
        colours="gray" if grey else "turbo",
    )


def _background(case: Case, config: PreprocessConfig) -> Picture:
    """The background of outlines of lesions: the real DWI or, where there is none, Tmax."""
    if case.dwi is None:
        return _tmax(case, grey=True)
    scale = f"DWI from its minimum to its {config.dwi_percentile:g}th percentile"
    return Picture(name="real DWI", scale=scale, volume=scale_dwi(case.dwi, config))
