"""The raw case of the gate: a small synthetic scan that travels in the reference, and what preprocessing made of it.

Its slices are the last of the reference, so that what the networks find in it is known too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, Case
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["RawCase", "ramp_mask", "raw_case_of", "slabs_of_thin"]

_KEY = "raw/"


@dataclass(frozen=True, kw_only=True)
class RawCase:
    """A scan as it comes, and as the networks take it.

    Attributes:
        case: series ``(T, D, H, W)`` int16, maps computed from it by the settings of the networks, and the map of CBF
            in the place of a DWI, so that its scaling is seen too.
        expected: what preprocessing made of it, ``D`` slices on the networks' grid.
        slabs: what the slices of a thin scan were averaged to, as :func:`slabs_of_thin` counts them.
        mask: of :func:`ramp_mask`; None in bundles made when the threshold was no setting.
    """

    case: Case
    expected: SliceBatch
    slabs: tuple[int, ...]
    mask: BoolArray | None = None

    @property
    def slices(self) -> int:
        """D, how many slices at the end of the reference are its own."""
        return len(self.expected.frames)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the reference does not hold anyway, by name, for its file."""
        found = {
            "series": self.case.series,
            "times": self.case.times,
            "spacing": np.array(self.case.geometry.spacing),
            "maps": np.stack([self.case.maps[name] for name in MAP_NAMES]),
            "dwi": self.expected.dwi,
            "slabs": np.array(self.slabs),
            "mask": self.mask,
        }
        return {_KEY + name: array for name, array in found.items() if array is not None}


def raw_case_of(path: Path) -> RawCase | None:
    """The raw case in the file of a reference, without reading the rest of it; None where there is none.

    Raises:
        ValueError: its arrays do not belong together.
        OSError, SafetensorError: the file cannot be read, or is none.
    """
    with safe_open(path, framework="np") as file:
        found = {name.removeprefix(_KEY): file.get_tensor(name) for name in file.keys() if name.startswith(_KEY)}  # noqa: SIM118  no dict
        if not found:
            return None
        slices = _slices_of(found)
        frames, features = (_last(file.get_slice(name), slices) for name in ("frames", "features"))
    dwi = found["dwi"]
    for name, array, shape in (("frames", frames, frames.shape), ("dwi", dwi, (slices, 1, *frames.shape[2:]))):
        if len(array) != slices or array.dtype != np.float32 or array.shape != shape:
            raise ValueError(f"its {name} of the raw case are {array.dtype} {array.shape}")
    maps = dict(zip(MAP_NAMES, found["maps"], strict=True))
    return RawCase(
        case=Case(
            identifier="raw case",
            series=found["series"],
            maps=maps,
            times=found["times"],
            geometry=geometry_of(found["spacing"], found["series"].shape[1:]),
            dwi=maps["cbf"],
        ),
        expected=SliceBatch(frames=frames, features=features, dwi=dwi),
        slabs=tuple(found["slabs"].tolist()),
        mask=found.get("mask"),
    )


def slabs_of_thin(perfusion: PerfusionConfig) -> tuple[int, ...]:
    """How many slices of a scan of 300 slices of 0.1 mm are averaged to each of its slabs; none where it is left."""
    return geometry_of(np.array((0.1, 1.0, 1.0)), (300, 1, 1)).in_slabs(perfusion.least_slice_mm).slabs or ()


def ramp_mask(case: Case, config: PreprocessConfig) -> tuple[BoolArray, NDArray[np.float32]]:
    """Mask and probability in a case of which every voxel of the networks' grid is a little likelier than the last.

    From 0 to 1, so that some voxel lies between any two thresholds, whatever networks say.
    """
    shape = (case.series.shape[1], *config.slice_shape)
    ramp = np.linspace(0.0, 1.0, math.prod(shape), dtype=np.float32).reshape(shape)
    mask, probability, _ = postprocess(SliceOutputs(probability=ramp), case, config)
    return mask, probability


def geometry_of(spacing: NDArray[np.float64], shape: tuple[int, ...]) -> Geometry:
    """The geometry of ``(D, H, W)`` voxels of ``(dz, dy, dx)`` mm, along the axes of the body."""
    depth, height, width = shape
    return Geometry.of_affine(np.diag([*spacing[::-1], 1.0]), (width, height, depth))


def _last(array: Any, count: int) -> NDArray[np.float32]:  # noqa: ANN401  safetensors is not typed
    """The last rows of an array in a file."""
    rows = array.get_shape()[0]
    return array[max(0, rows - count) : rows]


def _slices_of(found: Mapping[str, NDArray[Any]]) -> int:
    """Number of slices of arrays that belong together."""
    if missing := {"series", "times", "spacing", "maps", "dwi", "slabs"} - set(found):
        raise ValueError(f"its raw case has no {min(missing)}")
    series = found["series"]
    if series.ndim != 4 or len(series) < 2 or 0 in series.shape:
        raise ValueError(f"its series of the raw case has the shape {series.shape}")
    for name, kind, shape in (
        ("series", np.int16, series.shape),
        ("times", np.float64, series.shape[:1]),
        ("spacing", np.float64, (3,)),
        ("maps", np.float32, (len(MAP_NAMES), *series.shape[1:])),
    ):
        if found[name].dtype != kind or found[name].shape != shape or not np.isfinite(found[name]).all():
            raise ValueError(f"its {name} of the raw case are {found[name].dtype} {found[name].shape}, or not finite")
    if (mask := found.get("mask")) is not None and (mask.dtype != np.bool_ or mask.shape != series.shape[1:]):
        raise ValueError(f"its mask of the raw case is {mask.dtype} {mask.shape}")
    if found["slabs"].ndim != 1 or found["slabs"].dtype != np.int64:
        raise ValueError("its slabs of the raw case are no numbers of slices")
    if not (np.diff(found["times"]) > 0).all() or not (found["spacing"] > 0).all():
        raise ValueError("its raw case has times that do not ascend, or voxels of no size")
    return int(series.shape[1])
