"""A case from NIfTI files on one grid."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.orientations import aff2axcodes

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, Case, FloatArray, MapsWanted
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import NiftiSource
from ctpdeploy.runtime.io.assembly import SET_ASIDE, assemble_case
from ctpdeploy.runtime.io.limits import INTERVAL
from ctpdeploy.runtime.io.nifti import Volume, read_volume
from ctpdeploy.runtime.io.nifti_clock import Interval
from ctpdeploy.runtime.io.nifti_space import SIZE_TOLERANCE, offset_mm

__all__ = ["TENTHS", "read_nifti_case"]

TENTHS = 0.1
"""Unit of integer CBF and CBV maps of ISLES 2018, in ml/100g/min and ml/100g."""


def read_nifti_case(
    identifier: str,
    paths: Mapping[str, Path],
    *,
    integer_unit: float = TENTHS,
    maps: MapsWanted = "given",
    frame_interval: float | None = None,
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
        maps: ``"computed"`` to have them computed though there are some, which are not read then.
        frame_interval: seconds between frames; None for what the series' header states.
        perfusion: how maps are computed where there are none; defaults to ``PerfusionConfig()``.

    Raises:
        InputError: a file is unreadable, some but not all maps are there, shapes or geometries differ, the series has
            fewer than two frames, or one of :mod:`ctpdeploy.runtime.io.limits` is not kept.
    """
    set_aside = (SET_ASIDE,) if maps == "computed" else ()
    if set_aside:
        paths = {name: path for name, path in paths.items() if name not in MAP_NAMES}
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

    interval = series.clock.interval()
    if frame_interval is not None:
        interval = Interval(seconds=frame_interval, source="frame_interval")
    INTERVAL.require(interval.seconds, str(series.path))
    return assemble_case(
        identifier,
        series.data,
        _geometry(series),
        np.arange(series.data.shape[3]) * interval.seconds,
        maps=None if missing else {name: _map_values(name, others[name], integer_unit) for name in MAP_NAMES},
        called=str(series.path),
        perfusion=perfusion,
        dwi=others["dwi"].data if "dwi" in others else None,
        lesion=others["lesion"].data if "lesion" in others else None,
        source=NiftiSource(header=series.header),
        files={name: path.name for name, path in paths.items()},
        interval_source=interval.source,
        findings=(*set_aside, *interval.findings, *_by_part({"ctp": series, **others})),
        kind=series.kind,
    )


def _check_series(series: Volume) -> None:
    if series.data.ndim == 3:
        raise InputError(f"{series.path} is one 3D volume: CT perfusion needs a 4D series of at least two frames.")
    if series.data.ndim > 4:
        raise InputError(f"{series.path} has shape {series.data.shape}: CT perfusion needs (X, Y, Z, T).")


def _check_same_grid(volume: Volume, series: Volume) -> None:
    """Refuse a volume that does not lie on the voxels of the series."""
    grid = series.data.shape[:3]
    if volume.data.shape != grid:
        raise InputError(
            f"{volume.path} has shape {volume.data.shape}, the series {series.path.name} {grid}: "
            "resample it onto the series."
        )
    here, there = volume.space, series.space
    turned = "none" not in (here.form, there.form) and aff2axcodes(here.affine) != aff2axcodes(there.affine)
    if turned or not np.allclose(here.sizes, there.sizes, rtol=SIZE_TOLERANCE):
        raise InputError(
            f"{volume.path} has other axes or voxel sizes than the series {series.path.name}: "
            "resample it onto the series."
        )
    if {here.form, there.form} <= {"sform", "qform"} and there.is_apart(here.affine, grid):
        raise InputError(
            f"{volume.path} lies up to {offset_mm(here.affine, there.affine, grid):.1f} mm away from the series "
            f"{series.path.name}: register it to the series and resample it onto its voxels."
        )


def _geometry(series: Volume) -> Geometry:
    """The geometry of the series."""
    x, y, z = series.data.shape[:3]
    space = series.space
    return Geometry.of_affine(
        space.affine,
        (x, y, z),
        spacing_source="affine" if space.form in ("sform", "qform") else "pixdim",
        sides_stated=space.sides_stated,
    )


def _by_part(volumes: Mapping[str, Volume]) -> tuple[Finding, ...]:
    """Findings on the files of a case, those that several share once, with the parts that they are on."""
    parts: dict[Finding, list[str]] = {}
    for part, volume in volumes.items():
        for found in volume.findings:
            parts.setdefault(found, []).append(part.upper())
    return tuple(replace(found, sentence=f"{', '.join(on)}: {found.sentence}") for found, on in parts.items())


def _map_values(name: str, volume: Volume, integer_unit: float) -> FloatArray:
    """A map in its unit, ``unit * stored``."""
    values = volume.data.astype(np.float32)
    if name in ("cbf", "cbv") and volume.counts:
        values *= np.float32(integer_unit)
    return values
