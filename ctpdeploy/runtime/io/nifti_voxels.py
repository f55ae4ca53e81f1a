"""Voxels from an open NIfTI file, block by block, into the one array that stays.

What the kernels take is int16 or float32, so nothing else is made, whatever the file holds. Besides the result there
is one block in memory, small enough to stay in the cache while it is converted and checked.
"""

import math
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

__all__ = ["Rescaling", "read_voxels"]

BLOCK: Final = 2**16
"""Voxels read at once."""

_INT16: Final = np.iinfo(np.int16)
_LARGEST_SHIFT: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Rescaling:
    """The linear map from stored numbers to values: ``slope * stored + intercept``."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def of(cls, header: nib.Nifti1Header) -> "Rescaling":
        """That of a header; the identity where its slope is 0 or missing."""
        slope, intercept = header.get_slope_inter()
        return cls() if slope is None else cls(slope=float(slope), intercept=float(intercept or 0.0))

    @property
    def is_identity(self) -> bool:
        """Whether numbers stay as they are stored."""
        return self.slope == 1.0 and self.intercept == 0.0

    def keeps_whole(self, stored: np.dtype[Any]) -> bool:
        """Whether numbers of a type stay whole numbers about as small as they are."""
        shifts = self.slope == 1.0 and self.intercept.is_integer() and abs(self.intercept) <= _LARGEST_SHIFT
        return shifts and stored.kind in "iu" and stored.itemsize <= 2


def read_voxels(stream: RawIOBase | BufferedIOBase, header: nib.Nifti1Header) -> tuple[NDArray[Any], int]:
    """Read the array that a header describes, rescaled by its slope and intercept.

    Integers of 16 bits or less that are stored as they are, or shifted by a whole number as in a CT whose air is 0,
    become int16 if all fit into it; all others float32, computed in float64.

    Args:
        stream: the file behind the header.
        header: with at least one voxel, of a type that is integer or floating.

    Returns:
        The voxels in the shape of the header, first axis fastest, and how many of them are NaN or infinity.

    Raises:
        EOFError: the file ends before the last voxel.
    """
    shape, stored, rescaling = header.get_data_shape(), header.get_data_dtype(), Rescaling.of(header)
    stream.seek(header.get_data_offset())
    voxels: NDArray[Any] = np.empty(math.prod(shape), np.int16 if rescaling.keeps_whole(stored) else np.float32)
    as_stored = stored == voxels.dtype and rescaling.is_identity
    block = np.empty(0 if as_stored else min(BLOCK, len(voxels)), stored)
    not_finite = 0
    for start in range(0, len(voxels), BLOCK):
        part = voxels[start : start + BLOCK]
        if as_stored:
            _fill(stream, part)
        else:
            _fill(stream, block[: len(part)])
            values = _rescaled(block[: len(part)], rescaling)
            if voxels.dtype == np.int16 and not _fits(values):
                voxels = voxels.astype(np.float32)
                part = voxels[start : start + BLOCK]
            with np.errstate(over="ignore"):  # counted below
                part[:] = values
        if part.dtype == np.float32:
            not_finite += _count_not_finite(part)
    return voxels.reshape(shape, order="F"), not_finite


def _fill(stream: RawIOBase | BufferedIOBase, block: NDArray[Any]) -> None:
    """Read as many bytes as an array has."""
    memory = block.view(np.uint8).data
    while memory:
        count = stream.readinto(memory)
        if not count:
            raise EOFError("the file ends before the last voxel")
        memory = memory[count:]


def _rescaled(stored: NDArray[Any], rescaling: Rescaling) -> NDArray[Any]:
    """Values of a block: exact where they stay whole, else in float64, or as stored where nothing is to be done."""
    if rescaling.keeps_whole(stored.dtype):
        return stored.astype(np.int32) + np.int32(rescaling.intercept)
    if rescaling.is_identity:
        return stored
    return stored.astype(np.float64) * rescaling.slope + rescaling.intercept


def _fits(values: NDArray[Any]) -> bool:
    return bool(_INT16.min <= values.min() and values.max() <= _INT16.max)


def _count_not_finite(values: NDArray[np.float32]) -> int:
    """Number of NaN and infinities; finite numbers have a finite sum, or rarely one too large, and are then counted."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    return 0 if math.isfinite(total) else int(np.count_nonzero(~np.isfinite(values)))
