"""Reader of one NIfTI file, with an error of one sentence where it cannot be read."""

import math
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.origin import CaseKind, kind_of
from ctpdeploy.runtime.io.compression import MOST_EXPANSION, open_gzip
from ctpdeploy.runtime.io.nifti_clock import Clock
from ctpdeploy.runtime.io.nifti_header import geometry_header, grid_of, read_header
from ctpdeploy.runtime.io.nifti_space import Space
from ctpdeploy.runtime.io.nifti_voxels import Rescaling, read_voxels

__all__ = ["Volume", "read_volume"]

_CHUNK: Final = 2**20
"""Bytes read at once where they are not kept."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A NIfTI file in memory.

    Attributes:
        path: where it came from.
        data: ``(X, Y, Z)`` or ``(X, Y, Z, T)``, as the header rescales it: int16 where the values are small whole
            numbers, else float32.
        counts: whether the file holds integers, and its header leaves them as they are.
        space: where its voxels lie.
        clock: what the header says of time.
        header: for results on its voxels: its geometry in three dimensions, and nothing else of the file.
        kind: whether the header says that it is a phantom's.
        findings: fields of the header that contradict one another, or the length of the file; each sentence is about
            this file and does not name it.
    """

    path: Path
    data: NDArray[Any]
    counts: bool
    space: Space
    clock: Clock
    header: nib.Nifti1Header
    kind: CaseKind
    findings: tuple[Finding, ...] = ()


def read_volume(path: Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file into memory, where it takes no more than its voxels take.

    It is of NIfTI-1 or NIfTI-2. Axes of length one behind the third are dropped.

    Raises:
        InputError: the file is missing, not NIfTI, truncated, longer by voxels than it says, does not match its
            checksum, has no voxels, holds NaN or infinity, or its header gives its axes no directions or its voxels
            sizes that no scan of a head has.
    """
    if any(suffix.lower() in (".hdr", ".img") for suffix in path.suffixes[-2:]):
        raise InputError(f"{path} is one of a .hdr and .img pair: convert the pair to one .nii file.")
    try:
        with _open(path) as stream:
            header, findings = read_header(stream, path)
            space = Space.of(header, path)
            _require_room(header, path)
            stored = header.get_data_dtype()
            counts = stored.kind in "iu" and Rescaling.of(header).is_identity
            data, not_finite = read_voxels(stream, header)
            findings += (*space.findings, *_rest(stream, header, path))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path.") from error
    except Exception as error:  # nibabel, gzip and numpy raise a dozen kinds on damaged files
        if isinstance(error, OSError) and error.strerror:  # of the system, not of what unpacks
            raise InputError(f"{path} cannot be read ({error.strerror}): let this user read it, or copy it.") from error
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} is not a complete NIfTI file ({reason}): copy or convert it again.") from error
    if not_finite:
        raise InputError(
            f"{path} holds NaN or infinity in {not_finite} voxels: make it again, with 0 outside the brain."
        )
    return Volume(
        path=path,
        data=data.reshape(data.shape[:3] + tuple(n for n in data.shape[3:] if n > 1), order="F"),
        counts=counts,
        space=space,
        clock=Clock.of(header),
        header=geometry_header(header, np.array(space.sizes) / space.unit_mm),
        kind=kind_of(bytes(header["descrip"]).decode("latin-1")),
        findings=findings,
    )


def _open(path: Path) -> RawIOBase | BufferedIOBase:
    """The content of a file, uncompressed."""
    if path.suffix.lower() == ".gz":
        return open_gzip(path)
    return path.open("rb", buffering=0)  # blocks are large: a buffer would be a copy more


def _require_room(header: nib.Nifti1Header, path: Path) -> None:
    """Refuse a header that describes more than the file can hold, before memory is taken for it.

    Raises:
        EOFError: it does.
    """
    described = int(header["vox_offset"]) + math.prod(grid_of(header)) * header.get_data_dtype().itemsize
    if described > path.stat().st_size * (MOST_EXPANSION if path.suffix.lower() == ".gz" else 1):
        raise EOFError("the file ends before the last voxel")


def _rest(stream: RawIOBase | BufferedIOBase, header: nib.Nifti1Header, path: Path) -> tuple[Finding, ...]:
    """Finding where bytes are left behind the last voxel; the checksum of a compressed file stands behind them.

    Raises:
        InputError: they are enough for a row, column, slice or frame more, so that the shape or the type is wrong and
            no voxel is where the header says.
    """
    shape, left = grid_of(header), 0
    another = math.prod(shape) // max(shape) * header.get_data_dtype().itemsize
    while chunk := stream.read(_CHUNK):
        left += len(chunk)
        if left >= another:
            raise InputError(
                f"{path} goes on behind the last voxel of {' x '.join(map(str, shape))} that its header describes: "
                "its shape or its type is wrong; convert it again."
            )
    sentence = f"{left} bytes follow the last voxel: if they belong before the first one, voxels are shifted."
    return (finding("bytes-left-over", sentence),) if left else ()
