"""The CUDA kernels of pre- and postprocessing: right, and how near each comes to a copy in the memory of the device."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ctpdeploy.errors import BackendError, GateError
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.backends.cuda import CudaPostprocessor, CudaPreprocessor, DeviceArray, PycudaDevice, Workspace
from ctpdeploy.runtime.backends.cuda.device import Argument, Device, Stream
from ctpdeploy.runtime.data.slices import SliceOutputs
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

__all__ = ["measure_kernels", "open_device"]

_TOLERANCE: Final = 2e-6
"""Of values in [0, 1] on a grid of another size; on the same grid they are equal."""
_REPEATS: Final = 50
_SMALL: Final = 1 << 20
"""Bytes under which a launch costs more than the memory."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A kernel that was queued, to be queued again."""

    kernel: str
    grid: tuple[int, int, int]
    arguments: tuple[Any, ...]
    shared_bytes: int

    @property
    def bytes_moved(self) -> int:
        """Least bytes that the kernel reads and writes; 0 where that is next to nothing."""
        return _BYTES[self.kernel](self) if self.kernel in _BYTES else 0

    def number(self, position: int) -> int:
        """An argument that is a number."""
        return int(self.arguments[position])

    def array(self, position: int) -> DeviceArray:
        """An argument that is an array."""
        found: DeviceArray = self.arguments[position]
        return found


def _intensity(launch: Launch) -> int:
    """A chunk of the series, the maximum so far read and written."""
    return launch.array(0).nbytes + 2 * launch.array(4).nbytes


def _scale(launch: Launch) -> int:
    pixels = launch.number(5) * launch.grid[1] * launch.grid[2]
    return pixels * (launch.array(0).dtype.itemsize + 4)


def _scale_resampled(launch: Launch) -> int:
    slices_and_channels = launch.grid[1] * launch.grid[2]
    read = launch.number(5) * launch.number(6) * launch.array(0).dtype.itemsize
    return slices_and_channels * (read + launch.grid[0] * launch.number(13) * 4)


_BYTES: Final[dict[str, Callable[[Launch], int]]] = {
    "intensity_short": _intensity,
    "intensity_float": _intensity,
    "count_digits": lambda launch: launch.array(0).shape[0] * launch.number(2) * 4,
    "scale_short": _scale,
    "scale_float": _scale,
    "scale_resampled_short": _scale_resampled,
    "scale_resampled_float": _scale_resampled,
    "resample": lambda launch: launch.array(0).nbytes + launch.array(10).nbytes,
    "flag_nonfinite": lambda launch: launch.array(0).shape[0] * launch.number(2) * 4,
    "mask_above": lambda launch: launch.number(1) * 5,
}


class Noting:
    """A device that remembers what is launched on it."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.launches: list[Launch] = []

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
        *,
        shared_bytes: int = 0,
    ) -> None:
        """Launch and remember."""
        self.launches.append(Launch(kernel=kernel, grid=grid, arguments=tuple(arguments), shared_bytes=shared_bytes))
        self._device.launch(kernel, grid, arguments, stream, shared_bytes=shared_bytes)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  all else is the device's
        return getattr(self._device, name)


def open_device() -> Device:
    """The GPU through PyCUDA, or else through CuPy.

    Raises:
        BackendError: neither works.
    """
    try:
        return PycudaDevice()
    except BackendError as error:
        try:
            from cupy_device import CupyDevice
        except ImportError:
            raise error from None
        return CupyDevice()


def measure_kernels(
    device: Device, cases: Iterable[Case], config: PreprocessConfig, copy_gb_per_s: float
) -> list[dict[str, Any]]:
    """Check the kernels on cases, then time each launch with the sizes that a case gives it.

    Args:
        device: GPU.
        cases: of a type of voxels and a grid each.
        config: of the preprocessing.
        copy_gb_per_s: bytes read and written by a copy on the device.

    Raises:
        GateError: a result is not the reference's.
    """
    found = []
    for case in cases:
        noting = Noting(device)
        workspace = Workspace(noting)
        _require_right(workspace, case, config)
        largest: dict[str, Launch] = {}
        for launch in noting.launches:
            known = largest.setdefault(launch.kernel, launch)
            if launch.bytes_moved > known.bytes_moved:
                largest[launch.kernel] = launch
        for launch in largest.values():
            seconds = _seconds(device, workspace, launch)
            rate = 1e-9 * launch.bytes_moved / seconds
            found.append(
                {
                    "kernel": launch.kernel,
                    "case": f"{case.series.dtype} {case.series.shape}",
                    "megabytes": launch.bytes_moved / 1e6,
                    "microseconds": seconds * 1e6,
                    "share_of_copy": rate / copy_gb_per_s if launch.bytes_moved >= _SMALL else None,
                }
            )
    return found


def _require_right(workspace: Workspace, case: Case, config: PreprocessConfig) -> None:
    """Preprocessing and postprocessing against NumPy."""
    preprocessor = CudaPreprocessor(workspace, config)
    expected, window = preprocess(case, config)
    batch = preprocessor.run(case)
    found = preprocessor.fetch(batch)
    same_grid = case.series.shape[2:] == config.slice_shape
    for name in ("frames", "features"):
        _require_near(name, getattr(found, name), getattr(expected, name), 0.0 if same_grid else _TOLERANCE)
    if batch.window.frames != window.frames:
        raise GateError(f"The GPU finds the frames {batch.window.frames}, not {window.frames}.")
    probability = np.ascontiguousarray(expected.features[:, 0])
    on_device = workspace.sent("probability", probability)
    postprocessor = CudaPostprocessor(workspace, config)
    mask, volume, _ = postprocessor.collect(postprocessor.queue(case, on_device, None))
    true_mask, true_volume, _ = postprocess(SliceOutputs(probability=probability), case, config)
    _require_near("probability", volume, true_volume, 0.0 if same_grid else _TOLERANCE)
    differ = int((mask != true_mask).sum())
    if differ > (0 if same_grid else math.ceil(1e-5 * mask.size)):
        raise GateError(f"The GPU's mask differs from the reference's in {differ} voxels.")


def _require_near(name: str, found: Any, expected: Any, tolerance: float) -> None:  # noqa: ANN401  arrays
    error = float(np.abs(found - expected).max())
    if not error <= tolerance:
        raise GateError(f"The {name} of the GPU are off by {error:.1e}, where {tolerance:.0e} is allowed.")


def _seconds(device: Device, workspace: Workspace, launch: Launch) -> float:
    """Of a kernel, queued many times in a row; what it works on no longer matters."""

    def run(times: int) -> float:
        device.synchronise()
        start = time.perf_counter()
        for _ in range(times):
            device.launch(
                launch.kernel, launch.grid, launch.arguments, workspace.kernels, shared_bytes=launch.shared_bytes
            )
        device.synchronise()
        return time.perf_counter() - start

    run(3)
    return min(run(_REPEATS) for _ in range(3)) / _REPEATS
