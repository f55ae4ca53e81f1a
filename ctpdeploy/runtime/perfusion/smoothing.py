"""Smoothing of a series within the brain, before its curves are deconvolved."""

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["FWHM_PER_SIGMA", "smooth_in_plane"]

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def smooth_in_plane(
    volume: FloatArray, mask: BoolArray, spacing: tuple[float, float, float], fwhm_mm: float
) -> FloatArray:
    """Gaussian smoothing within each slice that takes nothing from outside the mask.

    Args:
        volume: ``(..., D, H, W)``.
        mask: ``(D, H, W)``; outside it the result is 0.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
        fwhm_mm: full width at half maximum in mm; 0 only masks.
    """
    sigma = [fwhm_mm / FWHM_PER_SIGMA / size for size in spacing[1:]]
    widths = (0.0,) * (volume.ndim - 2) + tuple(sigma)
    weight = ndimage.gaussian_filter(mask.astype(np.float32), widths[-3:], mode="constant")
    smooth = volume * mask
    ndimage.gaussian_filter(smooth, widths, mode="constant", output=smooth)  # in place: a series can be large
    smooth /= np.where(mask, weight, np.inf).astype(smooth.dtype)
    return smooth
