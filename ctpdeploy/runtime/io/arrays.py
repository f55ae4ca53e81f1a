"""A case from arrays, for whoever holds them already: a viewer, a PACS, a notebook."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, Case, require_case_name
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.io.assembly import assemble_case

__all__ = ["case_from_arrays"]

_SMALLEST_MM: Final = 1e-3
_LARGEST_MM: Final = 1e3
"""No voxel of a head is smaller or larger."""


def case_from_arrays(
    series: ArrayLike,
    times: ArrayLike,
    *,
    affine: ArrayLike | None = None,
    spacing: ArrayLike | None = None,
    maps: Mapping[str, ArrayLike] | None = None,
    dwi: ArrayLike | None = None,
    lesion: ArrayLike | None = None,
    name: str = "case",
    perfusion: PerfusionConfig | None = None,
) -> Case:
    """Make a case of arrays ``(slices, rows, columns)``, as viewers and DICOM toolkits give them.

    Args:
        series: ``(T, K, J, I)`` in HU, at least two frames. Whole numbers are kept in 16 bits where they fit.
        times: of the frames ``(T,)`` in s, ascending; or of each frame and slice ``(T, K)``.
        affine: ``(4, 4)`` from ``(i, j, k)``, indices of column, row and slice, to RAS+ coordinates in mm: where
            patient left is, and in which order the slices lie.
        spacing: ``(dk, dj, di)`` in mm instead of an affine, for arrays with slices from foot to head, rows from back
            to front and columns from left to right. One of the two is needed.
        maps: all of ``cbf`` in ml/100g/min, ``cbv`` in ml/100g, ``mtt`` and ``tmax`` in s, each ``(K, J, I)``; without
            them they are computed from the series.
        dwi: ``(K, J, I)``, any units.
        lesion: drawn on the DWI, ``(K, J, I)``, true or from 0.5 on.
        name: of the case, and of its folder of results.
        perfusion: how maps are computed where there are none; defaults to ``PerfusionConfig()``.

    Returns:
        The case, its arrays ``(D, H, W)`` from foot to head, back to front and left to right whatever the order of
        those given; ``case.geometry.to_source(volume).T`` brings one back to ``(K, J, I)``. Its first frame is at 0 s.

    Raises:
        InputError: shapes do not agree, numbers are not finite, times do not ascend, maps are incomplete, or the affine
            gives the axes no directions.
    """
    require_case_name(name)
    voxels = _voxels(_numbers("series", series, name), name)
    grid = voxels.shape[1:]
    geometry = _geometry(affine, spacing, grid, name)
    clock = _numbers("times", times, name).astype(np.float64)
    ascend = np.isfinite(clock).all() and np.all(np.diff(clock, axis=0) > 0) if clock.ndim else False
    if clock.shape not in ((len(voxels),), voxels.shape[:2]) or not ascend:
        raise InputError(
            f"The times of {name} have shape {clock.shape}: give {len(voxels)} that ascend, in seconds, or "
            f"{voxels.shape[:2]} for times of each slice."
        )
    if maps is not None and not isinstance(maps, Mapping):
        raise InputError(f"The maps of {name} are no mapping: give them by their names, {', '.join(MAP_NAMES)}.")
    missing = [] if maps is None else [key for key in MAP_NAMES if key not in maps]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing).upper()}: give all four maps, or none of them.")

    def volume(part: str, values: ArrayLike) -> NDArray[np.float32]:
        array = _numbers(part, values, name).astype(np.float32)
        if array.shape != grid or not np.isfinite(array).all():
            raise InputError(
                f"The {part} of {name} has shape {array.shape} or holds NaN or infinity: give finite numbers on the "
                f"grid of the series, {grid}."
            )
        return array.T

    clock = clock - clock.min()
    return assemble_case(
        name,
        voxels.T,
        geometry,
        clock if clock.ndim == 1 else clock.mean(axis=1),
        maps=None if maps is None else {key: volume(key, maps[key]) for key in MAP_NAMES},
        called=name,
        perfusion=perfusion,
        slice_times=None if clock.ndim == 1 else clock,
        dwi=None if dwi is None else volume("DWI", dwi),
        lesion=None if lesion is None else volume("lesion", lesion),
    )


def _numbers(part: str, values: ArrayLike | None, name: str) -> NDArray[Any]:
    """Real numbers as an array, or a refusal: what NumPy would make of anything else is a guess.

    Raises:
        InputError: they are of another kind, ragged, or masked.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf" or np.ma.is_masked(values):
        raise InputError(
            f"The {part} of {name} are of type {array.dtype}, ragged, or masked: CT perfusion needs numbers; give an "
            "array of real ones, with 0 outside the brain in maps."
        )
    return array


def _voxels(series: NDArray[Any], name: str) -> NDArray[Any]:
    """The series in the types that everything behind takes: int16, else float32."""
    if series.ndim != 4 or len(series) < 2 or 0 in series.shape or series.dtype.kind not in "iuf":
        raise InputError(
            f"The series of {name} has shape {series.shape} and type {series.dtype}: CT perfusion needs numbers of "
            "shape (frames, slices, rows, columns) and at least two frames."
        )
    whole = np.iinfo(np.int16)
    if series.dtype.kind in "iu" and whole.min <= series.min() and series.max() <= whole.max:
        return series.astype(np.int16, copy=False)
    values = series.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InputError(f"The series of {name} holds NaN or infinity: give finite HU.")
    return values


def _geometry(affine: ArrayLike | None, spacing: ArrayLike | None, grid: Sequence[int], name: str) -> Geometry:
    if (affine is None) == (spacing is None):
        raise InputError(f"{name} needs an affine or a spacing, and not both: voxel sizes in mm are in either.")
    if spacing is not None:
        numbers = _numbers("spacing", spacing, name).astype(np.float64).ravel()
        matrix = np.diag([*numbers[::-1], 1.0]) if (numbers > 0).all() else np.zeros((4, 4))
    else:
        matrix = _numbers("affine", affine, name).astype(np.float64)
    square = matrix.shape == (4, 4) and np.array_equal(matrix[3], (0.0, 0.0, 0.0, 1.0))
    with np.errstate(over="ignore"):
        sizes = np.linalg.norm(matrix[:3, :3], axis=0) if square else np.zeros(3)
    sized = np.all((sizes > _SMALLEST_MM) & (sizes < _LARGEST_MM))  # neither holds for NaN
    if not sized or abs(np.linalg.det(matrix[:3, :3])) < 1e-6 * sizes.prod():
        raise InputError(f"{name} has an affine or a spacing that gives its axes no directions or sizes: correct it.")
    k, j, i = grid
    return Geometry.of_affine(matrix, (i, j, k))
