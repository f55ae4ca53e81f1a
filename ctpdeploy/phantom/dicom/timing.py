"""Timing: when each image of a layout is taken, and the elements that say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.phantom.dicom.layouts import StudyLayout
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Moment", "clock_elements", "kept_frames", "moment", "slice_times", "temporal_resolution"]

SPARSE = 3
"""Frames of which one is taken where a scan has become sparse."""

TURN = 0.8
"""Share of an interval in which a spiral goes through all slices; in the rest the table turns."""

DAY = "20240310"
RECONSTRUCTION_S, PER_IMAGE_S = 120.0, 0.05
"""From the first image taken to the first one reconstructed, and from one to the next."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time as headers state it.

    Attributes:
        date: ``YYYYMMDD``.
        time: ``HHMMSS.FFFFFF``.
    """

    date: str
    time: str


def moment(start: str, seconds: float) -> Moment:
    """So many seconds after a time of day ``HHMMSS``, to the microsecond."""
    day = datetime.strptime(DAY + start, "%Y%m%d%H%M%S")
    at = day + timedelta(microseconds=round(seconds * 1e6))
    return Moment(date=at.strftime("%Y%m%d"), time=at.strftime("%H%M%S.%f"))


def kept_frames(layout: StudyLayout, times: FloatArray) -> NDArray[np.int64]:
    """Indices of the frames that a scan of this layout takes."""
    frames = np.arange(len(times))
    if layout.sparse_after is None:
        return frames
    sparse = int(np.searchsorted(times - times[0], layout.sparse_after, side="right"))
    return np.concatenate([frames[:sparse], frames[sparse + SPARSE - 1 :: SPARSE]])


def slice_times(layout: StudyLayout, times: FloatArray, slices: int) -> NDArray[np.float64] | None:
    """When a table that moves brings each slice, ``(T, K)`` in s; None where all slices are taken at once.

    Args:
        layout: of the study.
        times: at which each phase begins, ``(T,)`` in s.
        slices: number of slices K.
    """
    if layout.table == "still":
        return None
    interval = float(np.median(np.diff(times)))
    if layout.table == "two":
        later = np.where(np.arange(slices) < slices // 2, 0.0, interval / 2)
        return np.round(times[:, None] + later, 6)
    share = (np.arange(slices) + 0.5) / slices
    share = np.stack([share, 1 - share])[np.arange(len(times)) % 2]  # to and fro
    return np.round(times[:, None] + TURN * interval * share, 6)


def clock_elements(layout: StudyLayout, start: str, seconds: float, phase: int, made: int) -> Mapping[str, str | int]:
    """The elements of an image that state a time, by their keywords; one of them is true.

    Args:
        layout: names it.
        start: of the scan, ``HHMMSS``.
        seconds: since then.
        phase: of the image, from 0.
        made: number of images that were reconstructed before this one.
    """
    begin, taken = moment(start, 0.0), moment(start, seconds)
    shown = taken if layout.clock == "ContentTime" else moment(start, RECONSTRUCTION_S + PER_IMAGE_S * made)
    elements: dict[str, str | int] = {"ContentDate": shown.date, "ContentTime": shown.time}
    if layout.clock == "AcquisitionDateTime":
        return {**elements, "AcquisitionDateTime": taken.date + taken.time}
    told = taken if layout.clock == "AcquisitionTime" else begin
    elements |= {"AcquisitionDate": told.date, "AcquisitionTime": told.time}
    if layout.clock == "TriggerTime":
        elements["TriggerTime"] = f"{seconds * 1e3:.3f}"
    if layout.clock == "TemporalPositionIdentifier" or (layout.clock == "TriggerTime" and layout.table != "still"):
        elements["TemporalPositionIdentifier"] = layout.first_index + phase
    return elements


def temporal_resolution(layout: StudyLayout, times: FloatArray) -> str:
    """Temporal Resolution in ms.

    Raises:
        InputError: phases that are only counted are not equally far apart.
    """
    steps = np.diff(times)
    step = float(np.median(steps))
    if layout.clock == "TemporalPositionIdentifier" and np.abs(steps - step).max() > 1e-6:
        raise InputError("A layout that counts phases cannot state times at unequal intervals: choose another layout.")
    return f"{step * 1e3:.10g}"
