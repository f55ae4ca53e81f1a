"""Reading one NIfTI file, and saying in one sentence why it cannot be read."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from ctpdeploy.errors import InputError

__all__ = ["Volume", "read_volume"]

_MILLISECONDS_ABOVE = 20.0
"""No CT perfusion study samples more slowly than every 20 s, nor faster than every 20 ms: a larger step is in
milliseconds, any other in seconds. The unit in ``xyzt_units`` is not asked, since files exist that contradict it."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A NIfTI file in memory.

    Attributes:
        path: where it came from.
        data: ``(X, Y, Z)`` or ``(X, Y, Z, T)`` in the type of the file, or float64 where the header scales it.
        header: its header, reduced to three dimensions.
        time_step: seconds between frames; 0 if the header does not say or there is one frame only.
    """

    path: Path
    data: NDArray[Any]
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
        """Whether the affine is the identity, as in all of ISLES 2018, and so says nothing."""
        return bool(np.allclose(self.affine, np.eye(4)))


def read_volume(path: Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file into memory.

    Axes of length one behind the third are dropped.

    Raises:
        InputError: the file is missing, not NIfTI, truncated, has no voxels, holds NaN or infinity, or has an affine
            that gives its axes no directions.
    """
    try:
        image = nib.Nifti1Image.from_filename(path, mmap=False)
        data = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path.") from error
    except Exception as error:  # nibabel, gzip and numpy raise a dozen kinds on damaged files
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} is not a complete NIfTI file ({reason}): copy or convert it again.") from error
    if data.ndim < 3 or 0 in data.shape or data.dtype.kind not in "iuf":
        raise InputError(
            f"{path} holds an array of shape {data.shape} and type {data.dtype}, not a volume of numbers: "
            "give a NIfTI file with at least three axes."
        )
    if data.dtype.kind == "f":
        _require_finite(data, path)
    header = image.header.copy()
    header.set_data_shape(data.shape[:3])
    _require_directions(header.get_best_affine(), path)
    return Volume(
        path=path,
        data=data.reshape(data.shape[:3] + tuple(n for n in data.shape[3:] if n > 1), order="A"),
        header=header,
        time_step=_time_step(image.header),
    )


def _require_finite(data: NDArray[Any], path: Path) -> None:
    """Refuse NaN and infinity; one sum finds them without a copy of the data."""
    if not math.isfinite(data.sum(dtype=np.float64)):
        count = int(np.count_nonzero(~np.isfinite(data)))
        raise InputError(f"{path} holds NaN or infinity in {count} voxels: make it again, with 0 outside the brain.")


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
