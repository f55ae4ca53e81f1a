"""Reader of one NIfTI file, with an error of one sentence where it cannot be read."""

import math
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.compression import open_gzip
from ctpdeploy.runtime.io.nifti_voxels import Rescaling, read_voxels

__all__ = ["Volume", "read_volume"]

_MILLISECONDS_ABOVE: Final = 20.0
"""No CT perfusion study samples more slowly than every 20 s, nor faster than every 20 ms: a larger step is in
milliseconds, any other in seconds. The unit in ``xyzt_units`` is ignored, since files exist that contradict it."""

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
        header: its header, reduced to three dimensions.
        time_step: seconds between frames; 0 if the header has none or there is one frame only.
    """

    path: Path
    data: NDArray[Any]
    counts: bool
    header: nib.Nifti1Header
    time_step: float

    @property
    def affine(self) -> NDArray[np.float64]:
        """The file's affine ``(4, 4)``."""
        return self.header.get_best_affine()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size ``(dx, dy, dz)`` in mm: from pixdim where the affine is the identity, else from the affine."""
        if self.has_identity_affine:
            x, y, z = self.header.get_zooms()[:3]
        else:
            x, y, z = nib.affines.voxel_sizes(self.affine)
        return float(x), float(y), float(z)

    @property
    def has_identity_affine(self) -> bool:
        """Whether the affine is the identity, as in all of ISLES 2018, and so carries no information."""
        return bool(np.allclose(self.affine, np.eye(4)))


def read_volume(path: Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file into memory, where it takes no more than its voxels take.

    Axes of length one behind the third are dropped.

    Raises:
        InputError: the file is missing, not NIfTI, truncated, does not match its checksum, has no voxels, holds NaN or
            infinity, or has an affine that gives its axes no directions.
    """
    try:
        with _open(path) as stream:
            header = nib.Nifti1Header.from_fileobj(stream)
            affine, stored = header.get_best_affine(), header.get_data_dtype()
            _require_numbers(header.get_data_shape(), stored, path)
            counts = stored.kind in "iu" and Rescaling.of(header).is_identity
            data, not_finite = read_voxels(stream, header)
            while stream.read(_CHUNK):
                pass  # the checksum of a compressed file stands at its end
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path.") from error
    except Exception as error:  # nibabel, gzip and numpy raise a dozen kinds on damaged files
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} is not a complete NIfTI file ({reason}): copy or convert it again.") from error
    if not_finite:
        raise InputError(
            f"{path} holds NaN or infinity in {not_finite} voxels: make it again, with 0 outside the brain."
        )
    _require_directions(affine, path)
    time_step = _time_step(header)
    header.set_data_shape(data.shape[:3])
    header.set_slope_inter(None, None)  # done
    return Volume(
        path=path,
        data=data.reshape(data.shape[:3] + tuple(n for n in data.shape[3:] if n > 1), order="F"),
        counts=counts,
        header=header,
        time_step=time_step,
    )


def _open(path: Path) -> RawIOBase | BufferedIOBase:
    """The content of a file, uncompressed."""
    if path.suffix.lower() == ".gz":
        return open_gzip(path)
    return path.open("rb", buffering=0)  # blocks are large: a buffer would be a copy more


def _require_numbers(shape: tuple[int, ...], stored: np.dtype[Any], path: Path) -> None:
    """Refuse what is no volume, before memory is taken for it."""
    if len(shape) < 3 or min(shape) < 1 or stored.kind not in "iuf":
        raise InputError(
            f"{path} holds an array of shape {shape} and type {stored}, not a volume of numbers: "
            "give a NIfTI file with at least three axes."
        )


def _require_directions(affine: NDArray[np.float64], path: Path) -> None:
    """Refuse an affine that is not finite, or that lays two axes on one line or gives one no length."""
    if not np.isfinite(affine).all() or np.isnan(io_orientation(affine)).any():
        raise InputError(f"{path} has an affine that gives its axes no directions: correct its sform or qform.")


def _time_step(header: nib.Nifti1Header) -> float:
    """Seconds between frames, from the last axis longer than one behind the third."""
    shape, zooms = header.get_data_shape(), header.get_zooms()
    steps = [float(zoom) for n, zoom in zip(shape[3:], zooms[3:], strict=True) if n > 1]
    if not steps or not math.isfinite(steps[-1]) or steps[-1] <= 0:
        return 0.0
    return steps[-1] / 1000.0 if steps[-1] > _MILLISECONDS_ABOVE else steps[-1]
