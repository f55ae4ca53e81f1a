"""The brain in a CT perfusion series: what lies inside the skull."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray, Case, FloatArray

__all__ = ["brain_mask", "tissue"]

BONE_HU = 200.0
"""Above contrast-filled sinuses in a time mean, below every part of the skull."""

SKIN_HU = -300.0
"""Between air and the fat of the scalp."""

CLOSING_MM = 3.0
"""Sutures and thin bone up to twice this wide are closed."""

MARGIN_MM = 1.8
"""Taken off the inside of the skull: bone blurred into the brain (2 pixels of 0.9 mm)."""


def brain_mask(mean_hu: FloatArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Find the brain, slice by slice, as the largest region inside closed bone.

    A series without any bone (its skull was removed) gives all that is not air.

    Args:
        mean_hu: temporal mean of the series, ``(D, H, W)`` in HU.
        spacing: voxel size ``(dz, dy, dx)`` in mm.

    Returns:
        Mask ``(D, H, W)``; empty in slices that hold no brain.
    """
    of_slice = _inside_skull if (mean_hu > BONE_HU).any() else _not_air
    return np.stack([of_slice(image, spacing[1:]) for image in mean_hu])


def tissue(case: Case) -> BoolArray:
    """Mask ``(D, H, W)`` of the voxels where CBF, CBV and MTT are positive: the brain by the maps' own mask."""
    return (case.maps["cbf"] > 0) & (case.maps["cbv"] > 0) & (case.maps["mtt"] > 0)


def _inside_skull(image: FloatArray, pixel: tuple[float, float]) -> BoolArray:
    """The brain in one slice ``(H, W)``; ``pixel`` is ``(dy, dx)`` in mm."""
    bone = image > BONE_HU
    if not bone.any():  # above the vertex or below the skull base
        return bone
    head = ndimage.binary_fill_holes(image > SKIN_HU)
    skull = _erode(_dilate(bone, pixel), pixel, CLOSING_MM) | bone
    inside = ndimage.binary_fill_holes(skull) & ~skull & head
    return ndimage.binary_fill_holes(_largest(_erode(inside, pixel)))


def _not_air(image: FloatArray, pixel: tuple[float, float]) -> BoolArray:
    """The brain in one slice of a series without skull."""
    return _largest(_erode(image > 0.0, pixel))


def _dilate(mask: BoolArray, pixel: tuple[float, float]) -> BoolArray:
    """All within the closing radius of the mask."""
    return ndimage.distance_transform_edt(~mask, sampling=pixel) <= CLOSING_MM


def _erode(mask: BoolArray, pixel: tuple[float, float], radius_mm: float = MARGIN_MM) -> BoolArray:
    """All of the mask farther than a radius from its outside."""
    return ndimage.distance_transform_edt(mask, sampling=pixel) > radius_mm


def _largest(mask: BoolArray) -> BoolArray:
    """The largest connected region, or the mask itself where it is empty."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes: NDArray[np.int64] = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == 1 + int(np.argmax(sizes)))
