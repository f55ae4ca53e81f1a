"""A case: one CT perfusion scan as arrays, in one orientation and one set of units.

Arrays run ``(D, H, W)``: slices from foot to head, rows from back to front, columns from left to right (RAS+ axes,
as the source's affine states them). The geometry is the way back to the source's own axes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.origin import CaseKind
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import Source

__all__ = [
    "MAP_NAMES",
    "MAP_UNITS",
    "BoolArray",
    "Case",
    "ClockName",
    "FloatArray",
    "IntervalSource",
    "MapsWanted",
    "require_case_name",
]

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]

ClockName = Literal[
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "TriggerTime",
    "TemporalPositionIdentifier",
]
"""Elements of DICOM images that may state when they were taken, by their keywords (PS3.6)."""

IntervalSource = Literal["pixdim", "xyzt_units", "frame_interval", "assumed", "times", ClockName]
"""What stated the time between frames: a NIfTI header without a unit or with one, ``--frame-interval`` or the argument
of that name, nobody, the times of the frames themselves, or an element of DICOM images."""

MapsWanted = Literal["given", "computed"]
"""Which maps a case is to have: those that come with it, and computed ones where there are none, or computed ones."""

MAP_NAMES = ("cbf", "cbv", "mtt", "tmax")
"""The perfusion maps F_o, in the order in which every network takes them."""

_LONGEST_NAME: Final = 200
"""Bytes; file systems take 255, and results appear under a longer name first."""

MAP_UNITS = {"cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s", "tmax": "s"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One scan, checked: shapes agree, every number is finite. It equals itself alone.

    Attributes:
        identifier: name of the case, as its folder is called.
        series: raw spatiotemporal CT ``(T, D, H, W)`` in HU, int16 or float32, T >= 2.
        maps: CBF, CBV, MTT and Tmax by their names in ``MAP_NAMES``, each ``(D, H, W)`` float32 in ``MAP_UNITS``.
        times: frame times ``(T,)`` in s, from 0.
        interval_source: what stated them.
        geometry: voxel size and the way back to the source's axes.
        source: what it came from; None where it was made of arrays.
        perfusion: how the maps were computed from the series; None where they were given.
        slice_times: times of each frame and slice ``(T, D)`` in s, where the source knows them; None where all slices
            of a frame have its time.
        dwi: diffusion-weighted image ``(D, H, W)`` float32 in its own units, where there is one.
        lesion: infarct drawn on the DWI, bool ``(D, H, W)``, where there is one.
        files: name of the file behind each part, without its folder.
        findings: what was assumed while reading.
        kind: whether it says that it is a phantom.
        maker: of the scanner; empty where it is not stated.
        arrival: how it was known that all of it had come, where a node received it; empty elsewhere.
    """

    identifier: str
    series: NDArray[Any]
    maps: Mapping[str, FloatArray]
    times: FloatArray
    geometry: Geometry
    interval_source: IntervalSource = "times"
    source: Source | None = None
    perfusion: PerfusionConfig | None = None
    slice_times: FloatArray | None = None
    dwi: FloatArray | None = None
    lesion: BoolArray | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    kind: CaseKind = "unknown"
    maker: str = ""
    arrival: str = ""

    @property
    def frame_interval(self) -> float:
        """Median time between two frames in s."""
        return float(np.median(np.diff(self.times)))


def require_case_name(name: object) -> None:
    """Refuse a name under which no folder of results can stand in the folder of all.

    Raises:
        InputError: it is empty, too long, a path, or no text.
    """
    usable = isinstance(name, str) and name not in ("", ".", "..") and PurePath(name).name == name
    if not usable or "\0" in str(name) or len(str(name).encode(errors="surrogateescape")) > _LONGEST_NAME:
        raise InputError(
            f"{name!r} is no name for a case: give one without slashes, of at most {_LONGEST_NAME} bytes, since its "
            "results get a folder of that name."
        )
