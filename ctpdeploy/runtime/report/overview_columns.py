"""The columns of ``overview.png``, from left to right: one kind of picture for each slice."""

import dataclasses
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import MAP_UNITS, Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.report.colours import Scale
from ctpdeploy.runtime.report.frame import Lines
from ctpdeploy.runtime.report.slice_view import MAP_RANGES, TRUTH, View, outline

__all__ = ["Column", "columns_of"]

_LESION: Final = "#ff3b30"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One kind of picture, drawn for every slice shown.

    Attributes:
        title: its heading.
        picture: the slices, one below the other; masked pixels are left black.
        low: value of the first colour.
        high: value of the last colour.
        unit: of both.
        colours: scale of the picture.
        outlines: lines to draw, in pixels of ``picture``, and their colours.
    """

    title: str
    picture: NDArray[Any]
    low: float
    high: float
    unit: str
    colours: Scale = "gray"
    outlines: tuple[tuple[Lines, str], ...] = ()


def columns_of(case: Case, prediction: Prediction, view: View) -> list[Column]:
    """CT, its maximum, the maps, what was found, and the truth where there is one."""
    before, highest = _over_time(case, max(prediction.outputs.window.start, 1), view)
    lesion = outline(view.montage(prediction.mask))
    red, white = ((lesion, _LESION),), ((lesion, "white"),)
    columns = [
        Column(title="CT before contrast", picture=before, low=0, high=80, unit="HU"),
        Column(title="maximum over time", picture=highest, low=0, high=200, unit="HU"),
        *(
            Column(
                title="Tmax" if name == "tmax" else name.upper(),
                picture=_positive(view.montage(case.maps[name])),
                low=0,
                high=high,
                unit=MAP_UNITS[name],
                colours="turbo",
                outlines=white if name in ("cbf", "tmax") else (),
            )
            for name, high in MAP_RANGES.items()
        ),
    ]
    if prediction.pseudo_dwi is not None:
        picture = view.montage(prediction.pseudo_dwi)
        columns.append(Column(title="pseudo-DWI", picture=picture, low=0, high=1, unit="scaled", outlines=red))
    picture = view.montage(prediction.probability)
    columns.append(Column(title="lesion", picture=picture, low=0, high=1, unit="probability", colours="inferno"))
    if case.dwi is not None:
        truth = ((outline(view.montage(case.lesion)), TRUTH),) if case.lesion is not None else ()
        high = float(f"{np.percentile(case.dwi, 99):.2g}")
        picture = view.montage(case.dwi)
        columns.append(
            Column(title="true DWI", picture=picture, low=0, high=high, unit="own units", outlines=(*red, *truth))
        )
    return columns


def _positive(picture: NDArray[Any]) -> NDArray[Any]:
    """The outside of the brain masked, where maps are 0."""
    masked: NDArray[Any] = np.ma.MaskedArray(picture, picture <= 0)
    return masked


def _over_time(case: Case, frames: int, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean of the first frames and maximum over all, of the slices shown alone: the whole series is large."""
    slices = [case.series[:, z] for z in view.slices]
    shown = dataclasses.replace(view, slices=range(len(slices)))
    before = np.stack([series[:frames].mean(axis=0, dtype=np.float32) for series in slices])
    return shown.montage(before), shown.montage(np.stack([series.max(axis=0) for series in slices]))
