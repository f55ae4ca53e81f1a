"""A case from NIfTI files on one grid."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nibabel.orientations import aff2axcodes

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, Case, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import NiftiSource
from ctpdeploy.runtime.io.assembly import assemble_case
from ctpdeploy.runtime.io.nifti import Volume, read_volume

__all__ = ["TENTHS", "read_nifti_case"]

TENTHS = 0.1
"""Unit of integer CBF and CBV maps of ISLES 2018, in ml/100g/min and ml/100g."""

_SPACING_TOLERANCE = 0.01
_OFFSET_TOLERANCE = 0.5
"""Of the smallest side of a voxel: beyond half of it a voxel's neighbour is nearer."""


def read_nifti_case(
    identifier: str,
    paths: Mapping[str, Path],
    *,
    integer_unit: float = TENTHS,
    perfusion: PerfusionConfig | None = None,
) -> Case:
    """Read and check the files of one case.

    Every volume must lie on the voxels of the series: nothing is resampled here, because an affine gives the place
    where a volume was taken, and does not reveal whether the patient lay still in between.

    Args:
        identifier: name of the case.
        paths: ``"ctp"`` (the raw series); all of ``MAP_NAMES``, or none, then they are computed from the series;
            optionally ``"dwi"`` and ``"lesion"``.
        integer_unit: unit of CBF and CBV maps of an integer type, in ml/100g/min and ml/100g.
        perfusion: how maps are computed where there are none; defaults to ``PerfusionConfig()``.

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
    others = {name: read_volume(path) for name, path in paths.items() if name != "ctp"}
    for volume in others.values():
        _check_same_grid(volume, series)

    findings: tuple[Finding, ...] = ()
    step = series.time_step
    if step == 0.0:
        step = 1.0
        sentence = "The header does not state how far apart the frames are: 1 s is assumed."
        findings = (finding("interval-assumed", sentence),)
    return assemble_case(
        identifier,
        series.data,
        _geometry(series),
        np.arange(series.data.shape[3]) * step,
        maps=None if missing else {name: _map_values(name, others[name], integer_unit) for name in MAP_NAMES},
        called=str(series.path),
        perfusion=perfusion,
        dwi=others["dwi"].data if "dwi" in others else None,
        lesion=others["lesion"].data if "lesion" in others else None,
        source=NiftiSource(header=series.header),
        files={name: path.name for name, path in paths.items()},
        findings=findings,
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
    """The geometry of the series."""
    x, y, z = series.data.shape[:3]
    source = "pixdim" if series.has_identity_affine else "affine"
    return Geometry.of_affine(series.affine, (x, y, z), sizes=series.spacing, spacing_source=source)


def _map_values(name: str, volume: Volume, integer_unit: float) -> FloatArray:
    """A map in its unit, ``unit * stored``."""
    values = volume.data.astype(np.float32)
    if name in ("cbf", "cbv") and volume.counts:
        values *= np.float32(integer_unit)
    return values
