"""Voxels of a stack in HU: every plane straight from its file into its place in one array, or through pydicom.

The plain way is a read of a known length at a known offset, by as many threads as there are cores; pydicom's
``pixel_array`` is its slow twin, and reads whatever is compressed.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.dicom.header import read_bytes
from ctpdeploy.runtime.dicom.plane import Plane
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom
from ctpdeploy.runtime.dicom.stack import Stack

__all__ = ["AIR", "read_voxels"]

AIR: Final = -1024
"""HU given to pixels outside the field of view of a scanner, which it fills with a number of its own."""

_TISSUE: Final = (-500.0, 3071.0)
"""HU: a padding within is not believed."""


def read_voxels(stack: Stack) -> NDArray[Any]:
    """HU of a stack ``(T, Z, rows, columns)``: int16 where all are whole numbers that fit, else float32.

    Raises:
        InputError: a file cannot be read, ends early or holds something else than one grey value a pixel.
        MissingPackageError: pydicom is not installed and a file is compressed.
    """
    planes = [plane for phase in stack.planes for plane in phase]
    if all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in planes):
        with suppress(_OverflowError):
            return _read(planes, stack.shape, np.int16)
    return _read(planes, stack.shape, np.float32)


class _OverflowError(Exception):
    """HU do not fit into 16 bits."""


def _read(planes: Sequence[Plane], shape: tuple[int, ...], kind: type[np.int16 | np.float32]) -> NDArray[Any]:
    voxels = np.empty(shape, dtype=kind)
    flat = voxels.reshape(-1, *shape[2:])
    files: dict[str, list[int]] = {}
    for i, plane in enumerate(planes):
        files.setdefault(str(plane.file), []).append(i)

    def read(batch: Sequence[list[int]]) -> None:
        for those in batch:
            _read_file([planes[i] for i in those], [flat[i] for i in those])

    workers = min(os.cpu_count() or 1, 8)
    batches = list(files.values())
    step = max(1, len(batches) // (8 * workers))
    with ThreadPoolExecutor(workers) as pool:  # reading and decoding release the interpreter
        list(pool.map(read, (batches[start : start + step] for start in range(0, len(batches), step))))
    return voxels


def _require_fit(plane: Plane, stored: NDArray[Any]) -> None:
    """Refuse stored values whose HU do not fit into 16 bits; most storages cannot hold such.

    Raises:
        _OverflowError: they do not.
    """
    low = -(2 ** (plane.storage.stored - 1)) if plane.storage.signed else 0
    if _fits(plane, low, low + 2**plane.storage.stored - 1):
        return
    if not _fits(plane, int(stored.min()), int(stored.max())):
        raise _OverflowError


def _fits(plane: Plane, low: int, high: int) -> bool:
    ends = [value * plane.slope + plane.intercept for value in (low, high)]
    return min(ends) >= -(2**15) and max(ends) < 2**15


def _read_file(planes: Sequence[Plane], out: Sequence[NDArray[Any]]) -> None:
    """Planes of one file into their places."""
    storage = planes[0].storage
    if storage.samples != 1 or storage.photometric not in ("MONOCHROME2", ""):
        raise InputError(f"{planes[0].file} is an image in {storage.photometric}, not in HU: send the original.")
    plain = planes[0].pixels_at is not None and storage.allocated == 16
    stored = _plain(planes, out) if plain else _decoded(planes)
    for plane, values, place in zip(planes, stored, out, strict=True):
        _to_hu(plane, values, place)


def _plain(planes: Sequence[Plane], out: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Stored values of planes that are not compressed, in the array of their HU where that has their size."""
    kind = np.dtype("<i2" if planes[0].storage.signed else "<u2")
    file, found = planes[0].file, []
    try:
        with file.open("rb") if isinstance(file, Path) else BytesIO(read_bytes(file)) as stream:
            for plane, place in zip(planes, out, strict=True):
                values = place.view(kind) if place.dtype == np.int16 else np.empty(place.shape, dtype=kind)
                stream.seek(plane.pixels_at or 0)
                if stream.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:
                    raise InputError(f"{file} ends within its pixels: send it again.")
                found.append(values)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): check the path.") from error
    return found


def _decoded(planes: Sequence[Plane]) -> list[NDArray[Any]]:
    """Stored values of planes through pydicom, which decodes them and extends their signs."""
    file = planes[0].file
    try:
        with file.open("rb") as stream:
            dataset = pydicom().dcmread(stream)
        dataset.convert_pixel_data()
        stored = dataset.pixel_array.reshape(-1, planes[0].storage.rows, planes[0].storage.columns)
        return [stored[plane.index] for plane in planes]
    except MissingPackageError:
        raise
    except Exception as error:
        raise InputError(f"The pixels of {file} cannot be read ({error}): send it uncompressed.") from error


def _to_hu(plane: Plane, stored: NDArray[Any], out: NDArray[Any]) -> None:
    """HU of stored values, which may lie where the HU go."""
    storage = plane.storage
    if plane.pixels_at is not None and storage.stored < 16:  # what stands above the highest bit is no part of a value
        stored <<= 16 - storage.stored
        stored >>= 16 - storage.stored
    outside = None
    if storage.padding is not None and _is_outside(plane):
        low, high = storage.padding
        outside = (stored >= low) & (stored <= high)
    if out.dtype == np.int16:
        _require_fit(plane, stored)
        if not np.shares_memory(stored, out):
            np.copyto(out, stored, casting="unsafe")  # what does not fit yet does with the intercept
        if plane.slope != 1:
            out *= np.int16(plane.slope)
        if plane.intercept:
            out += np.int16(plane.intercept)
    else:
        np.multiply(stored, np.float32(plane.slope), out=out)
        out += np.float32(plane.intercept)
    if outside is not None:
        out[outside] = AIR


def _is_outside(plane: Plane) -> bool:
    """Whether the padding is no tissue's number, as a padding of 0 would be that is stated beside an intercept of 0."""
    ends = [value * plane.slope + plane.intercept for value in plane.storage.padding or ()]
    return max(ends) < _TISSUE[0] or min(ends) > _TISSUE[1]
