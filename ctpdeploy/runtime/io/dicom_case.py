"""A case from a CT perfusion scan in DICOM, with the maps that its study has of it, or with computed ones."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, Case, FloatArray, IntervalSource
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.origin import kind_of
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.dicom.choice import Scan
from ctpdeploy.runtime.dicom.map_choice import MapChoice
from ctpdeploy.runtime.dicom.map_voxels import read_map
from ctpdeploy.runtime.dicom.voxels import read_voxels
from ctpdeploy.runtime.io.assembly import SET_ASIDE, assemble_case
from ctpdeploy.runtime.io.limits import INTERVAL
from ctpdeploy.runtime.quality.map_slices import inspect_slices
from ctpdeploy.runtime.quality.plausibility import implausible

__all__ = ["read_dicom_case"]

_OF_MAPS: Final = frozenset(
    {"maps-of-another", "maps-swapped", "maps-empty", "maps-contradict", "tmax-too-long", "tmax-low"}
)
"""Serious findings on maps. Of given files they are said; maps of a study stand back for computed ones."""


def read_dicom_case(
    identifier: str,
    scan: Scan,
    *,
    called: str,
    maps: MapChoice | None = None,
    frame_interval: float | None = None,
    perfusion: PerfusionConfig | None = None,
) -> Case:
    """Read the images of a scan, and the maps chosen for it.

    Maps that cannot be read, or that do not pass all checks beside the scan, are not used: the maps are computed then,
    as where none are chosen, and a finding says why.

    Args:
        identifier: name of the case.
        scan: found in a study.
        called: where, for errors.
        maps: chosen for the scan; None where they are to be computed whatever the study has.
        frame_interval: seconds between frames; None for what the images state.
        perfusion: how maps are computed; defaults to ``PerfusionConfig()``.

    Raises:
        InputError: an image cannot be read, the images count their times and do not state them, or one of
            :mod:`ctpdeploy.runtime.io.limits` is not kept.
        MissingPackageError: pydicom is not installed, and maps are chosen.
    """
    stack = scan.stack
    called = f"{called}, {scan.series.called}"
    phases, slices, rows, columns = stack.shape
    times: FloatArray = stack.times
    slice_times: FloatArray | None = stack.slice_times
    source: IntervalSource = stack.clock.name
    if frame_interval is not None:
        INTERVAL.require(frame_interval, called)
        times, slice_times, source = np.arange(phases) * frame_interval, None, "frame_interval"
    elif stack.clock.unit != "s":
        raise InputError(f"{called} counts its points in time and does not state them: give --frame-interval.")
    assemble = partial(
        assemble_case,
        identifier,
        read_voxels(stack).T,
        Geometry.of_affine(stack.affine, (columns, rows, slices)),
        times,
        called=called,
        interval_source=source,
        perfusion=perfusion,
        slice_times=slice_times,
        kind=kind_of(scan.series.model),
        maker=scan.series.maker,
    )

    def assembled(values: Mapping[str, FloatArray] | None, findings: tuple[Finding, ...]) -> Case:
        of_study = maps.taken if maps and values is not None else {}
        return assemble(
            maps=values,
            source=DicomSource(
                study_uid=scan.series.study,
                series_uids=scan.series.uids,
                frame_of_reference_uid=stack.planes[0][0].frame_of_reference,
                instance_uids=tuple(tuple(plane.instance for plane in phase) for phase in stack.planes),
                map_uids=tuple(uid for one in of_study.values() for uid in one.map.series.uids),
                first_phase=tuple((plane.file, plane.index) for plane in stack.planes[0]),
            ),
            files={
                "ctp": f"{scan.series.called}, {phases * slices} images",
                **{name: one.map.series.called for name, one in of_study.items()},
            },
            findings=(*scan.findings, *findings),
        )

    if maps is None:
        return assembled(None, (SET_ASIDE,))
    if not maps.taken:
        return assembled(None, maps.findings)
    try:
        case = assembled(_values(maps), maps.findings)
        found = (*case.findings, *implausible(case), *inspect_slices(case))
        doubts = " ".join(str(doubt) for doubt in found if doubt.code in _OF_MAPS)
    except InputError as error:
        case, doubts = None, str(error)
    if case is not None and not doubts:
        return case
    return assembled(None, (finding("maps-not-used", f"The study's maps were not used. {doubts}"),))


def _values(maps: MapChoice) -> dict[str, FloatArray]:
    """Values of the maps taken, ``(X, Y, Z)``."""
    return {
        name: read_map(
            maps.taken[name].images, f"{maps.taken[name].map.title} of {maps.taken[name].map.series.called}"
        ).T
        for name in MAP_NAMES
    }
