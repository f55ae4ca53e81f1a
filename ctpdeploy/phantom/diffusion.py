"""Diffusion-weighted MR of the same head: S = PD exp(-TE / T2) exp(-b ADC), and the lesion drawn on it."""

import numpy as np

from ctpdeploy.phantom.blur import blur
from ctpdeploy.phantom.fields import Volume, smooth_noise
from ctpdeploy.phantom.head import BrainVoxels, Head
from ctpdeploy.phantom.ischaemia import Tissue
from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["draw_lesion", "make_dwi", "rician"]

B_VALUE = 1000.0  # s/mm2
ECHO_TIME = 85.0  # ms
GREY, WHITE, CSF = (0.82, 99.0, 0.82e-3), (0.76, 85.0, 0.74e-3), (1.0, 2000.0, 3.0e-3)
OLD = (0.85, 350.0, 2.0e-3)
"""Proton density, T2 in ms, ADC in mm2/s."""

CORE_ADC = (0.42, 0.58)
SHINE_FROM_H, SHINE_PER_H, SHINE_MAX = 1.0, 0.10, 0.5
"""Of the core: ADC relative to healthy tissue, and the growth of T2. With these and the white matter above, a lesion
is 1.8 times as bright as its mirror image (1.84 +- 0.41, AJNR 2003;24:436) and infarcted white matter brighter than
healthy grey, as on any DWI; with an ADC of 0.55 to 0.70 the ratio was 1.56."""

BLUR_MM = 1.8  # FWHM
BIAS = 0.12
NOISE = 0.03  # of grey matter
SCALE = 1000.0
RATER_SIGMA_MM = 1.0
RATER_JITTER = 0.12


def make_dwi(
    brain: BrainVoxels, tissue: Tissue, onset_hours: float, rng: np.random.Generator, up_mm: float = 0.0
) -> Volume:
    """The image ``(D, H, W)`` float32 without noise, grey matter near 150; zero-mean bias field included.

    It shows the brain ``up_mm`` higher than CT does.

    In the core the ADC falls to about half, and T2 grows from the first hour on (shine-through).
    """
    kind = brain.white + np.uint8(2) * brain.csf
    density, t2, adc = (np.array(values, dtype=np.float32)[kind] for values in zip(GREY, WHITE, CSF, strict=True))
    core, penumbra, old = (brain.of(volume) for volume in (tissue.core, tissue.penumbra, tissue.old))
    density, t2, adc = (now + old * (np.float32(then) - now) for now, then in zip((density, t2, adc), OLD, strict=True))
    adc *= 1 - core * np.float32(1 - rng.uniform(*CORE_ADC)) - 0.08 * penumbra
    t2 *= 1 + core * np.float32(np.clip(SHINE_PER_H * (onset_hours - SHINE_FROM_H), 0.0, SHINE_MAX))
    bias = np.float32(BIAS) * brain.noise(rng, 45.0)
    signal = brain.volume(SCALE * density * np.exp(bias - ECHO_TIME / t2 - B_VALUE * adc))
    return blur(brain.grid.average(signal, up_mm), brain.grid.spacing, BLUR_MM / 2.355)


def rician(image: Volume, rng: np.random.Generator) -> Volume:
    """The image as it is measured: the magnitude of a complex number with noise in both parts."""
    level = np.float32(NOISE * SCALE * GREY[0] * np.exp(-ECHO_TIME / GREY[1] - B_VALUE * GREY[2]))
    real, imaginary = (level * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary)


def draw_lesion(head: Head, tissue: Tissue, rng: np.random.Generator, up_mm: float = 0.0) -> BoolArray:
    """The infarct as a rater draws it, ``(D, H, W)``: more than half of a voxel, with a smoothed, uncertain border.

    Drawn on DWI, it lies ``up_mm`` higher than CT shows it.
    """
    share = blur(head.grid.average(tissue.core, up_mm), head.grid.spacing, RATER_SIGMA_MM)
    doubt = RATER_JITTER * head.grid.average(smooth_noise(rng, 3.0, head.grid))
    return share + np.where((share > 0.1) & (share < 0.9), doubt, 0) > 0.5
