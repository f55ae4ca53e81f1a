"""From the files of a study to a checked case."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nibabel.orientations import aff2axcodes, io_orientation

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, Case, FloatArray, Geometry
from ctpdeploy.runtime.io.nifti import Volume, read_volume

__all__ = ["TENTHS", "read_nifti_case"]

TENTHS = 0.1
"""What 1 stands for in integer CBF and CBV maps of ISLES 2018, in ml/100g/min and ml/100g."""

_SPACING_TOLERANCE = 0.01
_OFFSET_TOLERANCE = 0.5
"""Of the smallest side of a voxel: beyond half of it a voxel's neighbour is nearer."""


def read_nifti_case(identifier: str, paths: Mapping[str, Path], *, integer_unit: float = TENTHS) -> Case:
    """Read and check the files of one study.

    Every volume must lie on the voxels of the series: nothing is resampled here, because an affine says where a
    volume was taken, not whether the patient lay still in between.

    Args:
        identifier: name of the case.
        paths: ``"ctp"`` (the raw series); all of ``MAP_NAMES``, or none, then they are computed from the series;
            optionally ``"dwi"`` and ``"lesion"``.
        integer_unit: what 1 stands for in CBF and CBV maps of an integer type, in ml/100g/min and ml/100g.

    Raises:
        InputError: a file is unreadable, some but not all maps are there, shapes or geometries differ, or the
            series has fewer than two frames.
    """
    missing = [name for name in MAP_NAMES if name not in paths]
    if "ctp" not in paths:
        raise InputError(f"{identifier} has no raw CT perfusion series: give a 4D file (CT_4DPWI or --ctp).")
    if 0 < len(missing) < len(MAP_NAMES):
        raise InputError(f"{identifier} lacks {', '.join(missing).upper()}: give all four maps, or none of them.")

    series = read_volume(paths["ctp"])
    _check_series(series)
    geometry = _geometry(series)
    others = {name: read_volume(path) for name, path in paths.items() if name != "ctp"}
    for volume in others.values():
        _check_same_grid(volume, series)

    warnings = []
    step = series.time_step
    if step == 0.0:
        step = 1.0
        warnings.append("The header does not say how far apart the frames are: 1 s is assumed.")
    times = np.arange(series.data.shape[3]) * step
    oriented = geometry.to_case(series.data)
    if missing:
        # linear algebra of SciPy takes a quarter of a second to import: only who computes maps pays for it
        from ctpdeploy.runtime.perfusion.maps import perfusion_maps

        try:
            computed = perfusion_maps(oriented, times, geometry.spacing)
        except InputError as error:
            raise InputError(f"{series.path} gives no perfusion maps. {error}") from error
        maps = computed.maps
        warnings += ["The study has no perfusion maps: they were computed from the series.", *computed.warnings]
    else:
        maps = {name: geometry.to_case(_map_values(name, others[name], integer_unit)) for name in MAP_NAMES}
    return Case(
        identifier=identifier,
        series=oriented,
        maps=maps,
        times=times,
        geometry=geometry,
        dwi=geometry.to_case(others["dwi"].data.astype(np.float32)) if "dwi" in others else None,
        # masks resampled by other tools read 0.9999
        lesion=geometry.to_case(others["lesion"].data >= 0.5) if "lesion" in others else None,
        files={name: path.name for name, path in paths.items()},
        warnings=tuple(warnings),
    )


def _check_series(series: Volume) -> None:
    if series.data.ndim == 3:
        raise InputError(f"{series.path} is one 3D volume: CT perfusion needs a 4D series of at least two frames.")
    if series.data.ndim > 4:
        raise InputError(f"{series.path} has shape {series.data.shape}: CT perfusion needs (X, Y, Z, T).")
    if min(series.spacing) <= 0:
        raise InputError(f"{series.path} states the voxel size {series.spacing} mm: correct pixdim or the affine.")


def _check_same_grid(volume: Volume, series: Volume) -> None:
    """Refuse a volume that does not lie on the voxels of the series."""
    grid = series.data.shape[:3]
    if volume.data.shape != grid:
        raise InputError(
            f"{volume.path} has shape {volume.data.shape}, the series {series.path.name} {grid}: "
            "resample it onto the series."
        )
    if aff2axcodes(volume.affine) != aff2axcodes(series.affine) or not np.allclose(
        volume.spacing, series.spacing, rtol=_SPACING_TOLERANCE
    ):
        raise InputError(
            f"{volume.path} has other axes or voxel sizes than the series {series.path.name}: "
            "resample it onto the series."
        )
    if volume.has_identity_affine or series.has_identity_affine:
        return
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, n - 1) for n in grid))], dtype=float).T
    offset = np.linalg.norm((volume.affine - series.affine) @ corners, axis=0).max()
    if offset > _OFFSET_TOLERANCE * min(series.spacing):
        raise InputError(
            f"{volume.path} lies up to {offset:.1f} mm away from the series {series.path.name}: "
            "register it to the series and resample it onto its voxels."
        )


def _geometry(series: Volume) -> Geometry:
    """The geometry of the series, its voxel size in the order of the case's axes."""
    axes = io_orientation(series.affine)[:, 0].astype(int)  # file axis -> right, anterior, superior
    spacing = np.empty(3)
    spacing[axes] = series.spacing
    dx, dy, dz = spacing.tolist()
    return Geometry(
        header=series.header,
        spacing=(dz, dy, dx),
        spacing_source="pixdim" if series.has_identity_affine else "affine",
    )


def _map_values(name: str, volume: Volume, integer_unit: float) -> FloatArray:
    """A map in its unit, ``max(unit * stored, 0)``.

    No flow, volume or time is negative. Makers of maps mark the outside of the brain with negative numbers (Tmax is
    -30 there in ISLES 2024); here, as in :mod:`ctpdeploy.runtime.perfusion.maps`, the outside is 0 in every map.
    """
    values = volume.data.astype(np.float32)
    if name in ("cbf", "cbv") and volume.counts:
        values *= np.float32(integer_unit)
    return np.maximum(values, 0.0, out=values)
