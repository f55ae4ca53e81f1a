"""Study: a patient's CT perfusion scans, and what else a study holds, in files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError, UnknownKeyError
from ctpdeploy.optional import require
from ctpdeploy.phantom.dicom.layouts import LAYOUTS, StudyLayout
from ctpdeploy.phantom.dicom.scan import Scan, plan_scans
from ctpdeploy.phantom.dicom.truth import ScanTruth, StudyTruth
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_study"]


def write_study(
    folder: Path,
    series: NDArray[np.int16],
    times: FloatArray,
    affine: FloatArray,
    layout: StudyLayout | str,
    *,
    slice_times: FloatArray | None = None,
    maps: Mapping[str, FloatArray] | None = None,
    seed: int = 0,
    junk: bool = True,
    name: str = "PHANTOM^ONE",
) -> StudyTruth:
    """Write a study, the same bytes for the same arguments.

    Args:
        folder: of the study, made if missing; must be empty.
        series: ``(T, K, J, I)`` in HU, int16.
        times: of the frames ``(T,)`` in s, ascending.
        affine: ``(4, 4)`` from ``(i, j, k)``, indices of column, row and slice, to RAS+ mm. Rows and columns stand at a
            right angle; slices may lie on a slant.
        layout: or its name in ``LAYOUTS``.
        slice_times: of each frame and slice ``(T, K)`` in s; None for those that the layout makes of ``times``.
        maps: perfusion maps ``(K, J, I)`` by their names in ``MAP_NAMES``, written as numbers and as colours.
        seed: of orders and UIDs.
        junk: write what else studies hold.
        name: of the patient, as DICOM writes it, ``FAMILY^GIVEN``. Give patients of one seed different names: UIDs are
            made of both.

    Raises:
        InputError: the folder is not empty, shapes do not agree, or the layout cannot state HU or times as they are.
        UnknownKeyError: there is no such layout.
        MissingPackageError: pydicom is not installed, or a package that compresses.
    """
    require("pydicom", extra="dicom")
    from ctpdeploy.phantom.dicom.classic import write_classic
    from ctpdeploy.phantom.dicom.disc import Disc
    from ctpdeploy.phantom.dicom.enhanced import write_enhanced
    from ctpdeploy.phantom.dicom.headers import Identity

    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise UnknownKeyError(layout, LAYOUTS, "the layouts of studies")
        layout = LAYOUTS[layout]
    _require_series(series, times, slice_times)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"The folder {folder} is not empty: a study needs one of its own.")
    scans = plan_scans(layout, series, np.asarray(times, dtype=np.float64), np.asarray(affine), slice_times)
    identity = Identity(name=name, words=f"{name}/{layout.summary}/{seed}", start=layout.start, maker=layout.maker)
    disc = Disc(folder=folder, template=layout.maker.files)
    rng = np.random.default_rng(seed)
    write = write_classic if layout.files == "image" else write_enhanced
    for scan in scans:
        write(disc, identity, scan, rng)
    others: dict[str, str] = {}
    return StudyTruth(
        folder=folder,
        study_uid=identity.uid("study"),
        scans=tuple(_truth(scan, identity.uid) for scan in scans),
        others=others,
        files=tuple(disc.files),
    )


def _require_series(series: NDArray[np.int16], times: FloatArray, slice_times: FloatArray | None) -> None:
    """Refuse arrays that make no scan.

    Raises:
        InputError: they do not.
    """
    if series.ndim != 4 or series.dtype != np.int16 or min(series.shape) < 2:
        raise InputError(
            f"The series has shape {series.shape} and type {series.dtype}: a study needs int16 of shape (frames, "
            "slices, rows, columns), at least two of each."
        )
    for clock, shape in ((times, series.shape[:1]), (slice_times, series.shape[:2])):
        if clock is not None and (np.shape(clock) != shape or not np.all(np.diff(clock, axis=0) > 0)):
            raise InputError(f"Times have shape {np.shape(clock)}: give {shape} that ascend, in seconds.")


def _truth(scan: Scan, uid: Callable[[str], str]) -> ScanTruth:
    words = dict.fromkeys(scan.series_word(phase) for phase in range(len(scan.frames)))
    own = np.ptp(scan.seconds, axis=1).any()
    return ScanTruth(
        series_uids=tuple(map(uid, words)),
        frames=tuple(scan.frames.tolist()),
        slices=tuple(scan.slices.tolist()),
        affine=scan.space.affine,
        clock=scan.layout.clock,
        times=scan.seconds.mean(axis=1),
        slice_times=scan.seconds if own else None,
        field=None if scan.outside is None else ~scan.outside,
    )
