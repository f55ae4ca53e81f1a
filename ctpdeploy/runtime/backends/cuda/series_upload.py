"""The series on the device: uploaded in chunks of frames while one pass over it gives q(t) and the maximum over time.

The host writes each chunk into page-locked memory once, whatever the strides of the case's array, and from there it is
copied in one piece; meanwhile the kernel works on the chunk before and the host on the one behind. On the device a
frame is a row: D x H x W voxels in C order, then zeros up to a multiple of 2048, so that each block of the pass has its
fill and no kernel a remainder to treat.

Sums are those of the reference: exact for int16 and for whole numbers in float32; else within 1e-12 of the sum of the
magnitudes. They are the same in every run, and equal frames have equal sums, so that a flat curve stays flat.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.backends.cuda.workspace import Workspace

__all__ = ["HOUNSFIELD", "SUFFIXES", "DeviceSeries", "Rescale", "padded", "require_stored", "send_series"]

SUFFIXES: Final = {np.dtype(np.int16): "short", np.dtype(np.float32): "float"}
"""Suffix of the kernels for a type of voxels."""

_CHUNK = 16
"""Frames in one upload: a multiple of the eight that the kernel takes at once."""

_VECTOR_BYTES = 16
_PITCH = 2048
"""Voxels of int16 that a block takes; two blocks, of float32."""


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """Stored numbers to HU, ``slope * stored + intercept``, as NIfTI and DICOM headers state it.

    The HU are those of the product and the sum in float64, rounded to float32 once. q(t) is made of the sums of stored
    numbers; it is exact where slope and intercept are whole, else within 1e-7 of the sum of the magnitudes.

    Raises:
        InputError: the slope is not positive, or one of the two is not finite.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.slope < math.inf and math.isfinite(self.intercept)):
            raise InputError(
                f"The series is stored with slope {self.slope} and intercept {self.intercept}: "
                "give a positive slope and a finite intercept."
            )


HOUNSFIELD: Final = Rescale()
"""The series holds HU already."""


@dataclass(frozen=True, kw_only=True)
class DeviceSeries:
    """A series under way to the device.

    Attributes:
        frames: stored numbers ``(T, pitch)``.
        maximum: their maximum over time ``(1, pitch)``.
        sums: sum of each frame, float64 ``(T,)``, on the host once the stream of kernels has come so far.
    """

    frames: DeviceArray
    maximum: DeviceArray
    sums: NDArray[np.float64]


def padded(voxels: int) -> int:
    """The pitch of rows of so many voxels."""
    return -(-voxels // _PITCH) * _PITCH


def require_stored(series: NDArray[Any]) -> None:
    """Refuse a type that no kernel takes.

    Raises:
        InputError: the series is neither int16 nor float32, in the byte order of this machine.
    """
    if series.dtype not in SUFFIXES:
        raise InputError(f"The series is of type {series.dtype}: convert it to int16 or float32.")


def send_series(workspace: Workspace, series: NDArray[Any]) -> DeviceSeries:
    """Queue the upload of a series and the pass over it.

    Args:
        workspace: of the series; the stream of copies must not run ahead of kernels that still read the last series.
        series: stored numbers ``(T, D, H, W)``, int16 or float32, of any strides.

    Raises:
        BackendError: the device refuses.
    """
    device, suffix = workspace.device, SUFFIXES[series.dtype]
    count, voxels = len(series), math.prod(series.shape[1:])
    pitch = padded(voxels)
    blocks = pitch * series.dtype.itemsize // (_VECTOR_BYTES * THREADS)
    staged = workspace.pinned("series", (count, pitch), series.dtype)
    frames = workspace.array("series", (count, pitch), series.dtype)
    maximum = workspace.array("maximum", (1, pitch), series.dtype)
    partials = workspace.array("partial sums", (count, blocks), np.float64)
    sums = workspace.array("sums", (count,), np.float64)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        np.copyto(staged[start:stop, :voxels].reshape(stop - start, *series.shape[1:]), series[start:stop])
        staged[start:stop, voxels:] = 0
        device.upload(frames.rows(start, stop), staged[start:stop], workspace.copies)
        device.wait(workspace.kernels, device.record(workspace.copies))
        chunk = (np.int64(pitch), np.int32(stop - start), np.int32(start == 0), maximum, partials.rows(start, stop))
        workspace.launch(f"intensity_{suffix}", (blocks, 1, 1), (frames.rows(start, stop), *chunk))
    workspace.launch("frame_sums", (count, 1, 1), (partials, np.int32(blocks), sums))
    return DeviceSeries(frames=frames, maximum=maximum, sums=workspace.fetched("sums", sums))
