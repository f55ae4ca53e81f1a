"""Scan: what one injection's images are, before they are written."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.dicom.layouts import StudyLayout
from ctpdeploy.phantom.dicom.pixels import field_of_view
from ctpdeploy.phantom.dicom.space import Space, tilted
from ctpdeploy.phantom.dicom.timing import kept_frames, moment, slice_times
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["Scan", "plan_scans", "space_of"]

FIRST_NUMBER, NUMBERS_APART = 101, 200
"""Number of the first series of the first scan, and from that to the next scan's."""

NEXT_INJECTION_S = 420.0
"""From the begin of one scan to that of the next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A scan as it is to be written.

    Attributes:
        word: for it within the study.
        number: of its series, or of the first of them.
        layout: of the study.
        frames: indices of the frames taken, ``(T,)``.
        slices: indices of the slices, ``(K,)``.
        hu: int16 ``(T, K, J, I)``.
        seconds: from the start to each image, to the microsecond, ``(T, K)``.
        start: time of day of the first image, ``HHMMSS``.
        space: of the slices.
        outside: pixels with padding ``(J, I)``; None where there are none.
    """

    word: str
    number: int
    layout: StudyLayout
    frames: NDArray[np.int64]
    slices: NDArray[np.int64]
    hu: NDArray[np.int16]
    seconds: NDArray[np.float64]
    start: str
    space: Space
    outside: BoolArray | None

    def series_word(self, phase: int) -> str:
        """Word for the series that a phase, from 0, is in."""
        return f"{self.word}/{phase}" if self.layout.series_a_phase else self.word


def space_of(layout: StudyLayout, affine: FloatArray, shape: tuple[int, ...]) -> Space:
    """The grid of the slices of a study, with the gantry tilted as the layout wants where it stands straight.

    Args:
        layout: of the study.
        affine: ``(4, 4)`` to RAS+ mm.
        shape: ``(K, J, I)``.
    """
    space = Space(affine=affine)
    return Space(affine=tilted(affine, layout.tilt, shape)) if layout.tilt and not space.gantry_tilt else space


def plan_scans(
    layout: StudyLayout,
    series: NDArray[np.int16],
    times: FloatArray,
    space: Space,
    own_times: FloatArray | None,
) -> list[Scan]:
    """The scans of a study, those of lower slices first.

    Args:
        layout: of the study.
        series: ``(T, K, J, I)`` in HU.
        times: ``(T,)`` in s.
        space: of all slices.
        own_times: ``(T, K)`` in s; None for those of the layout.
    """
    shape = series.shape[1:]
    frames = kept_frames(layout, times)
    seconds = own_times if own_times is not None else slice_times(layout, times, shape[0])
    if seconds is None:
        seconds = np.broadcast_to(np.asarray(times, dtype=np.float64)[:, None], series.shape[:2])
    outside = None if layout.stored.padding is None else ~field_of_view(*shape[1:])
    scans = []
    upwards = space.affine[2, 2] >= 0
    slabs = np.array_split(np.arange(shape[0]), layout.slabs)
    for number, slices in enumerate(slabs if upwards else slabs[::-1]):
        taken = seconds[np.ix_(frames, slices)]
        scans.append(
            Scan(
                word=f"perfusion {number}",
                number=FIRST_NUMBER + NUMBERS_APART * number,
                layout=layout,
                frames=frames,
                slices=slices,
                hu=series[np.ix_(frames, slices)],
                seconds=np.round(taken - taken.min(), 6),
                start=moment(layout.start, NEXT_INJECTION_S * number).time[:6],
                space=space.from_slice(int(slices[0])),
                outside=outside,
            )
        )
    return scans
