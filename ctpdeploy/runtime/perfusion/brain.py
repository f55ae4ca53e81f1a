"""The brain in a CT perfusion series: what lies inside the skull."""

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray, Case, FloatArray

__all__ = ["brain_mask", "dilate", "erode", "tissue"]

BONE_HU = 200.0
"""Above contrast-filled sinuses in a time mean, below every part of the skull."""

SKIN_HU = -300.0
"""Between air and the fat of the scalp."""

CLOSING_MM = 3.0
"""Sutures and thin bone up to twice this wide are closed."""

MARGIN_MM = 1.8
"""Taken off the inside of the skull: bone blurred into the brain (2 pixels of 0.9 mm)."""

SKULL_MM = 5.0
"""Thickness of the skull, and so of what lies in a gap of it."""

LEAST_MM2 = 1000.0
"""Of a brain in a skull that has to be closed; between the bumps of bone at the vertex are up to 400."""

LEAST_BONE = 0.7
"""Share of a head's outline that has bone, or there is no skull to be closed: a bone flap of 12 cm leaves 0.75."""

_DIRECTIONS = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
"""From which the outline of a skull is seen; an angle between two is off by 0.5 mm along a gap of 24 mm."""

_IN_PLANE = np.pad(ndimage.generate_binary_structure(2, 1)[None], ((1, 1), (0, 0), (0, 0)))
"""Neighbours of a voxel: the four in its slice."""


def brain_mask(mean_hu: FloatArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Find the brain, slice by slice, as the largest region inside closed bone.

    Bone with a gap, of an operation or where the field of view ends, is closed by straight lines. A series without any
    bone (its skull was removed) gives all that is not air.

    Args:
        mean_hu: temporal mean of the series, ``(D, H, W)`` in HU.
        spacing: voxel size ``(dz, dy, dx)`` in mm.

    Returns:
        Mask ``(D, H, W)``; empty in slices that hold no brain.
    """
    bone = mean_hu > BONE_HU
    if not bone.any():
        return _largest(erode(mean_hu > 0.0, spacing[1:], MARGIN_MM))
    return _inside_skull(mean_hu, bone, spacing[1:])


def tissue(case: Case) -> BoolArray:
    """Mask ``(D, H, W)`` of the voxels where CBF, CBV and MTT are positive: the brain by the maps' own mask."""
    return (case.maps["cbf"] > 0) & (case.maps["cbv"] > 0) & (case.maps["mtt"] > 0)


def _inside_skull(mean_hu: FloatArray, bone: BoolArray, pixel: tuple[float, float]) -> BoolArray:
    """The brain in slices ``(D, H, W)``; in those without bone, above the vertex or below the skull base, is none.

    ``pixel`` is ``(dy, dx)`` in mm, here and below.
    """
    head = _filled(mean_hu > SKIN_HU)
    skull = erode(dilate(bone, pixel, CLOSING_MM), pixel, CLOSING_MM) | bone
    inside = _filled(skull) & ~skull & head
    for place, image in enumerate(mean_hu):
        closed = _closed(skull[place], pixel) & (image > 0.0) & ~skull[place]
        size = np.count_nonzero(closed)
        if size * pixel[0] * pixel[1] > LEAST_MM2 and np.count_nonzero(inside[place]) < 0.5 * size:
            inside[place] = closed
    return _filled(_largest(erode(inside, pixel, MARGIN_MM)))


def _closed(skull: BoolArray, pixel: tuple[float, float]) -> BoolArray:
    """What lies within the convex outline of a skull ``(H, W)``, less its thickness; nothing where it is no skull."""
    places = np.argwhere(skull) * pixel
    if not len(places):
        return skull
    hull = np.ones_like(skull)
    y, x = (np.arange(n) * side for n, side in zip(skull.shape, pixel, strict=True))
    for angle in _DIRECTIONS:
        way = np.sin(angle), np.cos(angle)
        hull &= way[0] * y[:, None] + way[1] * x <= (places @ way).max() + 1e-6
    within = erode(hull[None], pixel, SKULL_MM)[0]
    outline = hull & ~within
    near = dilate(skull[None], pixel, SKULL_MM)[0]
    return within if np.count_nonzero(outline & near) >= LEAST_BONE * np.count_nonzero(outline) else np.zeros_like(hull)


def _filled(mask: BoolArray) -> BoolArray:
    """The mask ``(D, H, W)`` and what it encloses: all that no way within the slice leads to its border."""
    regions, count = ndimage.label(~mask, _IN_PLANE)
    enclosed = np.ones(count + 1, dtype=bool)
    for side in (regions[:, 0], regions[:, -1], regions[..., 0], regions[..., -1]):
        enclosed[side] = False
    enclosed[0] = True  # the mask itself
    return np.asarray(enclosed[regions])


def dilate(mask: BoolArray, pixel: tuple[float, float], radius_mm: float) -> BoolArray:
    """All of ``(D, H, W)`` within a radius of the mask's voxels in the same slice.

    Row by row of the disk, from its ends, where it is narrow, to its middle; all slices at once.
    """
    dy, dx = pixel
    dilated, wide, width = mask.copy(), mask.copy(), 0
    for rows in range(int(radius_mm / dy), -1, -1):
        while np.hypot(rows * dy, (width + 1) * dx) <= radius_mm:
            width += 1
            wide[..., width:] |= mask[..., :-width]
            wide[..., :-width] |= mask[..., width:]
        dilated[:, rows:] |= wide[:, : wide.shape[1] - rows]
        dilated[:, : wide.shape[1] - rows] |= wide[:, rows:]
    return dilated


def erode(mask: BoolArray, pixel: tuple[float, float], radius_mm: float) -> BoolArray:
    """All of the mask farther than a radius from its outside."""
    return ~dilate(~mask, pixel, radius_mm)


def _largest(mask: BoolArray) -> BoolArray:
    """The largest connected region of each slice ``(D, H, W)``; none where the mask is empty."""
    largest = np.zeros_like(mask)
    for image, region in zip(mask, largest, strict=True):
        labels, count = ndimage.label(image)
        if count:
            region[:] = labels == 1 + np.argmax(np.bincount(labels[image])[1:])
    return largest
