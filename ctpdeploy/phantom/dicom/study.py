"""Study: a patient's CT perfusion scans, and what else a study holds, in files."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctpdeploy import __version__
from ctpdeploy.errors import InputError, UnknownKeyError
from ctpdeploy.optional import require
from ctpdeploy.phantom.dicom.layouts import StudyLayout, require_layout
from ctpdeploy.phantom.dicom.scan import Scan, plan_scans, space_of
from ctpdeploy.phantom.dicom.truth import ScanTruth, StudyTruth
from ctpdeploy.runtime.data.case import MAP_NAMES, FloatArray

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
        name: of the patient, as DICOM writes it, ``FAMILY^GIVEN``.

    UIDs are made of all of this: what differs in anything differs in them.

    Raises:
        InputError: the folder is not empty, shapes do not agree, or the layout cannot state HU or times as they are.
        UnknownKeyError: there is no such layout.
        MissingPackageError: pydicom is not installed, or a package that compresses.
    """
    layout = require_layout(layout) if isinstance(layout, str) else layout
    require("pydicom", extra="dicom")
    from ctpdeploy.phantom.dicom.classic import write_classic
    from ctpdeploy.phantom.dicom.disc import Disc
    from ctpdeploy.phantom.dicom.enhanced import write_enhanced
    from ctpdeploy.phantom.dicom.headers import Identity
    from ctpdeploy.phantom.dicom.maps import write_maps
    from ctpdeploy.phantom.dicom.surroundings import write_surroundings

    _require_series(series, times, slice_times)
    _require_maps(maps or {}, series.shape[1:])
    for pixels in layout.stored_frames:
        pixels.require(int(series.min()), int(series.max()))
    if series.shape[1] < 2 * layout.slabs:
        raise InputError(f"{layout.slabs} slabs need {2 * layout.slabs} slices, and there are {series.shape[1]}.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"The folder {folder} is not empty: a study needs one of its own.")
    space = space_of(layout, np.asarray(affine, dtype=np.float64), series.shape[1:])
    scans = plan_scans(layout, series, np.asarray(times, dtype=np.float64), space, slice_times)
    words = f"{__version__}/{name}/{layout}/{seed}/{junk}/{_digest(series, times, affine, slice_times, maps or {})}"
    identity = Identity(name=name, words=words, start=layout.start, maker=layout.maker)
    disc = Disc(folder=folder, template=layout.maker.files)
    rng = np.random.default_rng(seed)
    write = write_classic if layout.files == "image" else write_enhanced
    for scan in scans:
        write(disc, identity, scan, rng)
    others = write_maps(disc, identity, space, maps or {}, layout.map_style)
    if junk:
        others |= write_surroundings(disc, identity, series, space, maps or {})
    return StudyTruth(
        folder=folder,
        study_uid=identity.uid("study"),
        scans=tuple(_truth(scan, identity.uid) for scan in scans),
        others=others,
        files=tuple(disc.files),
    )


def _digest(
    series: NDArray[np.int16],
    times: FloatArray,
    affine: FloatArray,
    slice_times: FloatArray | None,
    maps: Mapping[str, FloatArray],
) -> str:
    """Of all that is not said by names and numbers."""
    digest = sha256()
    arrays = {"series": series, "times": times, "affine": affine, "slice times": slice_times, **maps}
    for word, array in arrays.items():
        values = np.asarray(() if array is None else array)
        digest.update(f"{word}/{values.dtype.str}/{values.shape}/".encode())
        for part in values:  # one at a time, so that no other series is in memory
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


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
        if clock is None:
            continue
        if np.shape(clock) != shape or not np.isfinite(clock).all() or not np.all(np.diff(clock, axis=0) > 0):
            raise InputError(f"Times have shape {np.shape(clock)}: give {shape} that ascend, in seconds.")


def _require_maps(maps: Mapping[str, FloatArray], grid: tuple[int, ...]) -> None:
    """Refuse maps that do not belong to a grid ``(K, J, I)``.

    Raises:
        InputError: they do not.
        UnknownKeyError: there is no such quantity.
    """
    for name, values in maps.items():
        if name not in MAP_NAMES:
            raise UnknownKeyError(name, MAP_NAMES, "the maps of a study")
        if values.shape != grid or not np.all(values >= 0):
            raise InputError(f"The map {name} has shape {values.shape}, or values below 0: give {grid}, from 0 on.")


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
