"""Distance between the surfaces of two masks: HD (equation 17) and ASSD (equation 18), in mm.

With S and G the surface voxels of mask and truth, d(s, G) the distance of a voxel centre to the nearest one of G::

    HD   = max( max over S of d(s, G), max over G of d(g, S) )
    ASSD = ( sum over S of d(s, G) + sum over G of d(g, S) ) / (|S| + |G|)

A surface voxel has a face neighbour outside its mask; beyond the border of the volume everything is outside.

Why not a library: surface-distance weights by area, MedPy takes the mean of two means, and MONAI, which has this very
definition, imports torch. The tests compare with MONAI.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["SurfaceDistance", "surface_distance"]


@dataclass(frozen=True, kw_only=True)
class SurfaceDistance:
    """Distances between the surfaces of a mask and of the truth.

    Attributes:
        hd_mm: Hausdorff distance, the maximum; NaN if either mask is empty, or both.
        hd_or_diagonal_mm: the same, but where only one mask is empty the diagonal of the volume from the first voxel's
            centre to the last one's, above which no HD can be: so missing a lesion is not without a price.
        assd_mm: average symmetric surface distance; NaN if either mask is empty, or both.
    """

    hd_mm: float
    hd_or_diagonal_mm: float
    assd_mm: float


def surface_distance(mask: BoolArray, truth: BoolArray, spacing: tuple[float, float, float]) -> SurfaceDistance:
    """Compare the surfaces of two masks ``(D, H, W)`` with voxels of ``spacing`` ``(dz, dy, dx)`` in mm.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != truth.shape:
        raise ValueError(f"a mask of shape {mask.shape} cannot be compared with a truth of shape {truth.shape}")
    if not (mask.any() and truth.any()):
        diagonal = math.hypot(*((size - 1) * step for size, step in zip(mask.shape, spacing, strict=True)))
        one_is_empty = mask.any() or truth.any()
        return SurfaceDistance(
            hd_mm=math.nan, hd_or_diagonal_mm=diagonal if one_is_empty else math.nan, assd_mm=math.nan
        )
    distances = _distances(mask, truth, spacing)
    furthest = float(distances.max())
    return SurfaceDistance(hd_mm=furthest, hd_or_diagonal_mm=furthest, assd_mm=float(distances.mean()))


def _distances(mask: BoolArray, truth: BoolArray, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    """Every d(s, G) and every d(g, S), in mm.

    Only the box around both masks is looked at: all of S and G lies in it, and beyond it is neither mask, as beyond
    the border of the volume.
    """
    box = _box(mask | truth)
    ours, theirs = (inside & ~ndimage.binary_erosion(inside) for inside in (mask[box], truth[box]))
    to_ours, to_theirs = (ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in (ours, theirs))
    return np.concatenate([to_theirs[ours], to_ours[theirs]])


def _box(mask: BoolArray) -> tuple[slice, ...]:
    """The smallest box around a mask that is not empty."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return box
