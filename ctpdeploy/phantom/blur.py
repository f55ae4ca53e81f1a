"""Gaussian smoothing within slices, as a product with a matrix on either side.

On images of some hundred pixels, on one thread, that takes half the time of a filter.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Volume
from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["blur", "blur_within"]

_REACH: Final = 4.0
"""Standard deviations at which the Gaussian is cut off."""


def blur(volume: Volume, spacing: tuple[float, float, float], sigma_mm: float) -> Volume:
    """An image ``(..., H, W)`` smoothed over ``sigma_mm``, with zeros around it; voxels of ``(dz, dy, dx)`` mm."""
    down, across = _gaussians(volume.shape, spacing, sigma_mm)
    return down @ volume @ across


def blur_within(mask: BoolArray, volume: Volume, spacing: tuple[float, float, float], sigma_mm: float) -> Volume:
    """The same of ``(n, D, H, W)`` with nothing from outside a mask ``(D, H, W)``, and zero there."""
    down, across = _gaussians(mask.shape, spacing, sigma_mm)
    weight = down @ mask.astype(np.float32) @ across
    share = np.divide(1, weight, out=np.zeros_like(weight), where=mask)
    smooth = np.empty_like(volume)
    for image, out in zip(volume, smooth, strict=True):  # one by one, so that each stays in the processor's cache
        np.multiply(down @ (image * mask) @ across, share, out=out)
    return smooth


def _gaussians(
    shape: tuple[int, ...], spacing: tuple[float, float, float], sigma_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrices for the rows and the columns of an image."""
    down, across = (_gaussian(size, sigma_mm / pixel) for size, pixel in zip(shape[-2:], spacing[1:], strict=True))
    return down, across


def _gaussian(size: int, sigma: float) -> NDArray[np.float32]:
    """Weights ``(size, size)`` of the pixels of a line in each smoothed one; symmetric, of sum 1 but near the ends."""
    reach = int(_REACH * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    kernel /= 2 * kernel.sum() - kernel[0]
    distance = abs(np.arange(size)[:, None] - np.arange(size))
    return np.where(distance <= reach, kernel[np.minimum(distance, reach)], 0).astype(np.float32)
