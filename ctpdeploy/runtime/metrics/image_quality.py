"""Image quality of a pseudo-DWI against the real DWI: SSIM and PSNR, of slices, around the lesion and of the brain.

Both images in the voxels of the case, scaled to [0, 1]. Global: each slice with its background, averaged over the
slices. Local, which the source defines no further than "in the region around the ground truth lesion": each slice with
lesion, the box around it and ``MARGIN`` pixels more, averaged over those slices.

Brain: both images without what is outside the brain, 0 there; PSNR of all its voxels as one, SSIM the mean of the maps
of the slices over its voxels. Three quarters of a slice are background, whose noise nobody has to synthesise. Beside
it, *flat*, the same of the plainest image there is, a brain that has everywhere the mean of the real one: an image that
is not better has no content.

SSIM is that of Wang et al. 2004 (Gaussian window of 11 x 11 with sigma 1.5, K1 0.01, K2 0.03, population covariance,
range 1). Global takes the positions where the window lies within the slice, local the map of the whole slice in the
box. ``PSNR = -10 log10(MSE)``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.optional import require
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["ImageQuality", "image_quality"]

WINDOW = 11
MARGIN = 10


@dataclass(frozen=True, kw_only=True)
class ImageQuality:
    """SSIM and PSNR in dB, means over slices; NaN where undefined or not measured.

    Attributes:
        global_ssim: of whole slices; undefined where a slice is smaller than the window.
        local_ssim: around the lesion; also undefined where there is none.
        global_psnr: of whole slices. Slices that do not differ at all have no finite PSNR and are left out; undefined
            if none is left.
        local_psnr: around the lesion; also undefined where there is none.
        brain_ssim: of the brain; also undefined where it is empty or not given.
        brain_psnr: of the brain, likewise; also where there is no error at all.
        flat_ssim: of the flat brain, likewise.
        flat_psnr: of the flat brain, likewise.
    """

    global_ssim: float = math.nan
    local_ssim: float = math.nan
    global_psnr: float = math.nan
    local_psnr: float = math.nan
    brain_ssim: float = math.nan
    brain_psnr: float = math.nan
    flat_ssim: float = math.nan
    flat_psnr: float = math.nan


def image_quality(
    image: FloatArray, real: FloatArray, lesion: BoolArray, brain: BoolArray | None = None, *, ssim: bool = True
) -> ImageQuality:
    """Compare a pseudo-DWI with the real one.

    Args:
        image: I_g ``(D, H, W)``, about [0, 1].
        real: I_d ``(D, H, W)``, scaled as for training; 1 is the range of both measures.
        lesion: truth ``(D, H, W)``.
        brain: ``(D, H, W)``; None leaves out what is of the brain.
        ssim: whether to measure SSIM too, which needs scikit-image.

    Raises:
        MissingPackageError: SSIM is to be measured and scikit-image is not installed.
    """
    image, real = image.astype(np.float64), real.astype(np.float64)
    boxes = {index: _box(lesion[index]) for index in range(len(lesion)) if lesion[index].any()}
    errors = (image - real) ** 2
    ssim = ssim and min(real.shape[1:]) >= WINDOW
    similar = [_ssim(a, b) for a, b in zip(image, real, strict=True)] if ssim else []
    inside, flat = (math.nan, math.nan), (math.nan, math.nan)
    if brain is not None and brain.any():
        inside = _of_brain(image, real, brain, ssim=ssim)
        flat = _of_brain(np.full_like(real, real[brain].mean()), real, brain, ssim=ssim)
    return ImageQuality(
        global_ssim=_mean([whole for whole, _ in similar]),
        local_ssim=_mean([similar[index][1][box].mean() for index, box in boxes.items()] if similar else []),
        global_psnr=_mean([_psnr(error) for error in errors]),
        local_psnr=_mean([_psnr(errors[index][box]) for index, box in boxes.items()]),
        brain_ssim=inside[0],
        brain_psnr=inside[1],
        flat_ssim=flat[0],
        flat_psnr=flat[1],
    )


def _of_brain(image: FloatArray, real: FloatArray, brain: BoolArray, *, ssim: bool) -> tuple[float, float]:
    """SSIM, NaN if it is not to be measured, and PSNR of the voxels of a brain that is not empty."""
    pairs = zip(image * brain, real * brain, strict=True)
    similar = np.stack([_ssim(a, b)[1] for a, b in pairs])[brain].mean() if ssim else math.nan
    return float(similar), _mean([_psnr((image[brain] - real[brain]) ** 2)])


def _ssim(image: FloatArray, real: FloatArray) -> tuple[float, NDArray[np.float64]]:
    """SSIM of a slice, and the map ``(H, W)`` of it."""
    metrics = require("skimage.metrics", extra="evaluate")
    mean, similarity = metrics.structural_similarity(
        image, real, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return float(mean), similarity


def _psnr(error: FloatArray) -> float:
    """PSNR in dB of squared errors, at range 1; infinite if there are none."""
    mean = float(error.mean())
    return math.inf if mean == 0.0 else -10.0 * math.log10(mean)


def _mean(values: Sequence[float]) -> float:
    """Mean of what is not infinite, NaN of nothing."""
    finite = [value for value in values if value != math.inf]
    return float(np.mean(finite)) if finite else math.nan


def _box(lesion: BoolArray) -> tuple[slice, slice]:
    """Rows and columns of a slice's lesion and ``MARGIN`` pixels around it, within the slice."""
    rows, columns = (np.flatnonzero(lesion.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - MARGIN, 0), int(rows[-1]) + MARGIN + 1),
        slice(max(int(columns[0]) - MARGIN, 0), int(columns[-1]) + MARGIN + 1),
    )
