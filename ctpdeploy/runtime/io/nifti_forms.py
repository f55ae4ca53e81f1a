"""The two forms of a NIfTI header, and its unit of lengths: affines in mm, whatever they say of one another.

Methods 2 and 3 of ``nifti1.h`` (https://nifti.nimh.nih.gov).
"""

from typing import Final

import nibabel as nib
import numpy as np
from nibabel.quaternions import fillpositive, quat2mat
from numpy.typing import ArrayLike, NDArray

from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.io.nifti_header import FORM_CODES, SPATIAL_UNIT

__all__ = ["Affine", "qform_of", "scaled", "sform_of", "unit_of"]

Affine = NDArray[np.float64]
"""``(4, 4)``, from voxel indices to RAS+ coordinates in mm."""

_MM: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Of the codes of ``xyzt_units``: not stated, metre, millimetre, micrometre."""


def unit_of(header: nib.Nifti1Header) -> tuple[float, tuple[Finding, ...]]:
    """The unit of lengths in mm."""
    code = int(header["xyzt_units"]) & SPATIAL_UNIT
    if code in _MM:
        return _MM[code], ()
    sentence = f"The unit of lengths in xyzt_units, {code}, does not exist: mm are taken."
    return 1.0, (finding("unit-unknown", sentence),)


def sform_of(header: nib.Nifti1Header, unit: float) -> Affine | None:
    """The sform in mm, where its code says that it counts."""
    if int(header["sform_code"]) not in FORM_CODES:
        return None
    affine = np.eye(4)
    affine[:3] = [unit * header[row].astype(np.float64) for row in ("srow_x", "srow_y", "srow_z")]
    return affine


def qform_of(header: nib.Nifti1Header, pixdim: NDArray[np.float64], unit: float) -> Affine | None:
    """The qform in mm, where its code says that it counts: ``R diag(dx, dy, q dz)``; NaN where it is no rotation.

    ``q`` is -1 if ``pixdim[0]`` is, else 1.
    """
    if int(header["qform_code"]) not in FORM_CODES:
        return None
    try:
        vector = [float(header[f"quatern_{axis}"]) for axis in "bcd"]
        rotation = quat2mat(fillpositive(vector, header.quaternion_threshold))
    except (ValueError, FloatingPointError):  # longer than one
        rotation = np.full((3, 3), np.nan)
    handed = rotation * (1, 1, -1 if header["pixdim"][0] == -1 else 1)
    return scaled(handed, pixdim, unit * np.array([float(header[f"qoffset_{axis}"]) for axis in "xyz"]))


def scaled(axes: NDArray[np.float64], sizes: NDArray[np.float64], origin: ArrayLike = 0.0) -> Affine:
    """An affine of axes, sizes and an origin; NaN where a size is none."""
    affine = np.eye(4)
    affine[:3, :3] = axes * np.where((sizes > 0) & np.isfinite(sizes), sizes, np.nan)
    affine[:3, 3] = origin
    return affine
