"""Truth: what was written into a study, for whoever compares it with what was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctpdeploy.phantom.dicom.layouts import Clock
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["ScanTruth", "StudyTruth"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanTruth:
    """One CT perfusion scan. Its HU are ``series[frames][:, slices]`` of the series given.

    Attributes:
        series_uids: of its series, one or one a phase.
        frames: indices of the frames that were taken, ``(T',)``.
        slices: indices of the slices, ``(K',)``.
        affine: ``(4, 4)``, from ``(i, j, k)`` with ``k`` counted within ``slices`` to RAS+ mm.
        clock: the element that states the times.
        times: of the frames in s, the mean over their slices where these have times of their own, ``(T',)``; the first
            image is at 0.
        slice_times: of each frame and slice in s, ``(T', K')``; None where all slices have the frame's.
        field: pixels that hold HU, ``(J, I)``; outside lies the padding. None where all do.
    """

    series_uids: tuple[str, ...]
    frames: tuple[int, ...]
    slices: tuple[int, ...]
    affine: FloatArray
    clock: Clock
    times: FloatArray
    slice_times: FloatArray | None
    field: BoolArray | None


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyTruth:
    """A study.

    Attributes:
        folder: that it was written to.
        study_uid: of it.
        scans: its CT perfusion scans, those of lower slices first.
        others: kind of every other series, by its UID: ``"localiser"``, ``"plain"``, ``"tracking"``, ``"reformatted"``,
            ``"angiography"``, ``"colour"``, ``"map"``, ``"report"`` or ``"presentation"``.
        files: all DICOM files, in the order in which they were written.
    """

    folder: Path
    study_uid: str
    scans: tuple[ScanTruth, ...]
    others: Mapping[str, str]
    files: tuple[Path, ...]
