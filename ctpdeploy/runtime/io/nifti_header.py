"""The header of a NIfTI file as it is written, repaired by nobody, and what results take over of it.

Fields are those of ``nifti1.h`` and ``nifti2.h`` (https://nifti.nimh.nih.gov).
"""

import math
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["FORM_CODES", "SPATIAL_UNIT", "geometry_header", "grid_of", "read_header"]

FORM_CODES: Final = range(1, 6)
"""Of a form that states something: scanner, aligned, Talairach, MNI and other templates."""

_KINDS: Final = {348: (nib.Nifti1Header, slice(344, 348)), 540: (nib.Nifti2Header, slice(4, 12))}
"""Size of a header in bytes, its kind, and where its magic is."""
_SINGLE: Final = (b"n+1\0", b"n+2\0\r\n\x1a\n")
_PAIRED: Final = (b"ni1\0", b"ni2\0\r\n\x1a\n")
_EXTENDER: Final = 4
"""Bytes between a header and the first voxel at least."""

_FORMS: Final = ("sform_code", "srow_x", "srow_y", "srow_z", "qform_code", "quatern_b", "quatern_c", "quatern_d")
_FORMS_AND_OFFSETS: Final = (*_FORMS, "qoffset_x", "qoffset_y", "qoffset_z")
SPATIAL_UNIT: Final = 7
"""Bits of ``xyzt_units``; those above are of time."""


def read_header(stream: RawIOBase | BufferedIOBase, path: Path) -> tuple[nib.Nifti1Header, tuple[Finding, ...]]:
    """Read the header of NIfTI-1 or NIfTI-2 at the start of a file; extensions are left unread.

    Args:
        stream: the file, uncompressed.
        path: its name in error messages.

    Returns:
        The header, of a volume of real numbers with at least three axes, whose voxels lie behind it; and findings on
        fields that contradict one another.

    Raises:
        InputError: it describes something else.
        ValueError, EOFError: it is none, or cut short.
    """
    start = stream.read(4) or b""
    orders = {order: int.from_bytes(start, order) for order in ("little", "big")}
    order, size = next(((order, size) for order, size in orders.items() if size in _KINDS), ("", 0))
    if not size:
        raise ValueError("it does not begin with a NIfTI header")
    kind, place = _KINDS[size]
    block = start + (stream.read(size - len(start)) or b"")
    if len(block) < size:
        raise EOFError("it ends within its header")
    if block[place] in _PAIRED:
        raise InputError(f"{path} is the header of a .hdr and .img pair: convert the pair to one .nii file.")
    if block[place] not in _SINGLE:
        raise ValueError("its header has no NIfTI magic")
    header: nib.Nifti1Header = kind(block, endianness=order, check=False)  # type: ignore[no-untyped-call]
    _require_volume(header, path)
    _require_voxels_behind(header, size, path)
    if math.isinf(float(header["scl_slope"])):
        raise InputError(f"{path} scales its voxels by infinity (scl_slope): convert it again.")
    bits, stored = int(header["bitpix"]), header.get_data_dtype()
    if bits == 8 * stored.itemsize:
        return header, ()
    sentence = f"The header says {bits} bits a voxel (bitpix) and {stored.name} (datatype), which is taken."
    return header, (finding("bits-contradict", sentence),)


def grid_of(header: nib.Nifti1Header) -> tuple[int, ...]:
    """Number of voxels along each axis, as stated."""
    return tuple(int(count) for count in header["dim"][1 : 1 + max(0, int(header["dim"][0]))])


def _require_volume(header: nib.Nifti1Header, path: Path) -> None:
    """Refuse what is no volume, before memory is taken for it."""
    shape, stored = grid_of(header), header.get_data_dtype()
    if not 3 <= len(shape) == header["dim"][0] or min(shape) < 1 or stored.kind not in "iuf":
        raise InputError(
            f"{path} holds an array of shape {shape} and type {stored}, not a volume of numbers: "
            "give a NIfTI file with at least three axes."
        )


def _require_voxels_behind(header: nib.Nifti1Header, size: int, path: Path) -> None:
    """Refuse voxels that begin within the header, between two bytes or nowhere."""
    offset = float(header["vox_offset"])
    if not offset.is_integer() or offset < size + _EXTENDER:  # infinity and NaN are no integers
        raise InputError(
            f"{path} says that its voxels begin at byte {offset:g} (vox_offset), before the end of its header, "
            f"{size + _EXTENDER}: convert it again."
        )


def geometry_header(header: nib.Nifti1Header, sizes: ArrayLike) -> nib.Nifti1Header:
    """A fresh header of three dimensions that lays voxels as another one does, and holds nothing else of it.

    Names, descriptions and extensions may tell who the patient is. Form codes that mean nothing become 0, a voxel size
    that is none that of the affine, so that nobody has to repair the result.

    Args:
        header: as :func:`read_header` reads it.
        sizes: of a voxel along its axes, in the unit of the header.
    """
    bare = nib.Nifti1Header()
    bare.set_data_shape(grid_of(header)[:3])
    with np.errstate(over="ignore"):  # of forms that are not set; others were judged
        for field in _FORMS_AND_OFFSETS:
            bare[field] = header[field]
        stated = np.asarray(header["pixdim"][1:4], np.float32)
    for code in ("sform_code", "qform_code"):
        bare[code] = header[code] if int(header[code]) in FORM_CODES else 0
    usable = np.isfinite(stated) & (stated > 0)
    bare["pixdim"][1:4] = np.where(usable, stated, sizes)
    bare["pixdim"][0] = -1.0 if header["pixdim"][0] == -1 else 1.0
    unit = int(header["xyzt_units"]) & SPATIAL_UNIT
    bare["xyzt_units"] = unit if unit <= 3 else 0
    return bare
