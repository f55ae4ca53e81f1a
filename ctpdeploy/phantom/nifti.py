"""A volume in a NIfTI-1 file as ISLES 2018 has it: all that is known of its place is the size of a voxel.

The affine is the identity (sform code 2, qform code 0), so voxel size and frame interval stand in ``pixdim`` alone.
Written field by field: nibabel, which reads it, takes as long to import as two patients to make.
"""

import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.origin import PHANTOM

__all__ = ["write_nifti"]

_HEADER: Final = struct.Struct("=i 36x 8h 14x 2h 2x 8f 2f 32x 80s 26x h 24x 12f 16x 4s 4x")
"""sizeof_hdr; dim; datatype, bitpix; pixdim; vox_offset, scl_slope; descrip; sform_code; srow_x, _y, _z; magic, no
extension."""

_DATATYPES: Final = {"uint8": 2, "int32": 8, "float32": 16, "float64": 64, "uint16": 512}
_DESCRIPTION: Final = f"{PHANTOM}: synthetic, no patient".encode("ascii")
_ALIGNED: Final = 2
_IDENTITY: Final = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)


def write_nifti(path: Path, volume: NDArray[Any], spacing: tuple[float, float, float], interval: float) -> None:
    """Write a volume with axes ``(X, Y, Z[, T])``, not compressed, in the byte order of the machine.

    Args:
        path: of the file, new or not.
        volume: ``([T,] D, H, W)``, uint8, uint16, int32, float32 or float64.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
        interval: of frames in s, which files of ISLES 2018 have even where there is one frame alone.
    """
    shape = volume.shape[::-1]
    header = _HEADER.pack(
        _HEADER.size - 4,
        *(len(shape), *shape, *(1,) * (7 - len(shape))),
        *(_DATATYPES[volume.dtype.name], 8 * volume.itemsize),
        *(1, *spacing[::-1], interval, 1, 1, 1),
        *(_HEADER.size, 1),
        _DESCRIPTION,
        _ALIGNED,
        *_IDENTITY,
        b"n+1",
    )
    with path.open("wb") as stream:
        stream.write(header)
        stream.write(np.ascontiguousarray(volume).data)  # x fastest: NIfTI's order
