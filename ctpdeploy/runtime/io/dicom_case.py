"""A case from a CT perfusion scan in DICOM."""

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case, FloatArray, IntervalSource
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.dicom.choice import Scan
from ctpdeploy.runtime.dicom.voxels import read_voxels
from ctpdeploy.runtime.io.assembly import assemble_case
from ctpdeploy.runtime.io.limits import INTERVAL

__all__ = ["read_dicom_case"]


def read_dicom_case(
    identifier: str,
    scan: Scan,
    *,
    called: str,
    frame_interval: float | None = None,
    perfusion: PerfusionConfig | None = None,
) -> Case:
    """Read the images of a scan.

    Args:
        identifier: name of the case.
        scan: found in a study.
        called: where, for errors.
        frame_interval: seconds between frames; None for what the images state.
        perfusion: how maps are computed; defaults to ``PerfusionConfig()``.

    Raises:
        InputError: an image cannot be read, the images count their times and do not state them, or one of
            :mod:`ctpdeploy.runtime.io.limits` is not kept.
    """
    stack = scan.stack
    called = f"{called}, {scan.series.called}"
    phases, slices, rows, columns = stack.shape
    geometry = Geometry.of_affine(stack.affine, (columns, rows, slices))
    times: FloatArray = stack.times
    slice_times: FloatArray | None = stack.slice_times
    source: IntervalSource = stack.clock.name
    if frame_interval is not None:
        INTERVAL.require(frame_interval, called)
        times, slice_times, source = np.arange(phases) * frame_interval, None, "frame_interval"
    elif stack.clock.unit != "s":
        raise InputError(f"{called} counts its points in time and does not state them: give --frame-interval.")
    return assemble_case(
        identifier,
        read_voxels(stack).T,
        geometry,
        times,
        maps=None,
        called=called,
        interval_source=source,
        perfusion=perfusion,
        slice_times=slice_times,
        source=DicomSource(
            study_uid=scan.series.study,
            series_uids=scan.series.uids,
            frame_of_reference_uid=stack.planes[0][0].frame_of_reference,
            instance_uids=tuple(tuple(plane.instance for plane in phase) for phase in stack.planes),
            first_phase=tuple((plane.file, plane.index) for plane in stack.planes[0]),
        ),
        files={"ctp": f"{scan.series.called}, {phases * slices} images"},
        findings=scan.findings,
    )
