"""The scanner: noise and drift on the ideal series, a plain CT, and the perfusion maps of its workstation.

The maps come from the noisy series by the project's own deconvolution, never from the truth. What they lose on the
way, fine detail, vessels, CSF and all that lies beyond their clipping, is what the raw series still holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ctpdeploy.errors import InputError
from ctpdeploy.phantom.blur import blur_within
from ctpdeploy.phantom.crop import Crop
from ctpdeploy.phantom.fields import Volume
from ctpdeploy.phantom.head import AIR_HU
from ctpdeploy.phantom.settings import Noise
from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, FloatArray
from ctpdeploy.runtime.perfusion.arteries import VascularInput, baseline_frames, find_vascular_input
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.perfusion.deconvolution import Residue, block_circulant_inverse, read_lags
from ctpdeploy.runtime.perfusion.smoothing import FWHM_PER_SIGMA

__all__ = ["Dose", "measure", "plain_ct", "workstation_maps"]

NOISE_BAND = 0.35  # 1/mm
ODD, ODD_SIGMA = np.uint64(0x0101010101010101), np.sqrt((2**14 - 1) / 3)
"""What makes eight bytes odd, and then as often negative as positive; their standard deviation."""
JITTER_LIMIT, JITTER_SIGMA = 0.05, 0.03  # HU
DRIFT = 0.4  # HU from the first frame to the last
PLAIN_NOISE = 0.5  # of a frame's noise: a plain CT has four times the dose
PLAIN_FLOOR, PLAIN_CEILING = (-30, -20), 3071  # HU
SMOOTHING_SIGMA_MM = 4.0 / FWHM_PER_SIGMA
RANK_TOLERANCE = 1e-10  # of the largest eigenvalue, a squared singular value
MEDIAN_MM = 2.7
TISSUE_HU = (14.0, 75.0)
VESSEL_HU = 60.0
CEILINGS = {"cbf": 100.0, "cbv": 12.0, "mtt": 24.0, "tmax": 24.0}
STEPS = {"cbf": 1.0, "cbv": 0.1, "mtt": 0.5}
"""Of what is stored in whole steps. Tmax is not: rounded to 0.5 s, "> 6 s" begins at 6.25 s and loses 5 % of the
volume; the reference software's files hold it as float64."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """What the noise of a frame is like.

    Attributes:
        sigma: standard deviation in HU at a pixel small enough to hold all of the noise's spectrum.
        noise: form of the spectrum.
    """

    sigma: float
    noise: Noise = "ramp"


def measure(
    frames: Volume, crop: Crop, blend: NDArray[np.float32], pixel: float, dose: Dose, rng: np.random.Generator
) -> Volume:
    """The series as it is measured ``(T, D, H, W)``: air around the head, noise, drift, and jitter of whole frames.

    Jitter is at most 0.05 HU: more would drown q(t), a frame's sum, in which the bolus is a small part.

    Args:
        frames: the scanner's, without noise ``(n, D, h, w)`` in HU.
        crop: where they lie in the field of view.
        blend: interpolation of these frames to those on disk ``(T, n)``, of at most two neighbours each.
        pixel: mm.
        dose: what the noise is like.
        rng: source of the noise.
    """
    series = np.empty((len(blend), frames.shape[1], *crop.shape), dtype=np.float32)
    offsets = _offsets(len(frames), rng)
    noise = _coloured_noise((len(frames), *series.shape[1:]), pixel, dose, rng)
    scene, weighted = np.empty((2, *series.shape[1:]), dtype=np.float32)
    begun = np.zeros(len(series), dtype=bool)
    for image, frame, offset, weights in zip(noise, frames, offsets, blend.T, strict=True):
        scene.fill(AIR_HU + offset)
        np.add(frame, offset, out=scene[..., crop.rows, crop.columns])
        image += scene
        for time in np.flatnonzero(weights):
            share = np.multiply(image, weights[time], out=weighted if begun[time] else series[time])
            if begun[time]:
                series[time] += share
            begun[time] = True
    return series


def plain_ct(baseline: Volume, crop: Crop, pixel: float, dose: Dose, rng: np.random.Generator) -> NDArray[np.int32]:
    """The plain CT ``(D, H, W)`` in whole HU, cut off below at -30 to -20 HU as those of ISLES 2018 are."""
    once = np.ones((1, 1), dtype=np.float32)
    noisy = measure(baseline[None], crop, once, pixel, replace(dose, sigma=PLAIN_NOISE * dose.sigma), rng)[0]
    return np.clip(np.rint(noisy), rng.integers(*PLAIN_FLOOR), PLAIN_CEILING).astype(np.int32)


def workstation_maps(
    series: Volume, times: FloatArray, spacing: tuple[float, float, float]
) -> tuple[dict[str, NDArray[np.float32]], VascularInput]:
    """Maps ``(D, H, W)`` as a vendor shows them, in the units of the runtime, and the vessels behind them.

    Deconvolution, a median filter of about 3 pixels of 0.9 mm, zero in CSF, bone and vessels, clipping, quantisation.

    Raises:
        InputError: no artery was found in the series.
    """
    weights = np.full(len(series), 1 / len(series), dtype=np.float32)
    mean: Volume = (weights @ series.reshape(len(series), -1)).reshape(series.shape[1:])
    head = Crop.around(mean > AIR_HU / 2)
    brain = head.paste(brain_mask(head.cut(mean), spacing))
    if not brain.any():
        raise InputError("No brain found in the phantom's series.")
    crop = Crop.around(brain)
    mean, brain = crop.cut(mean), crop.cut(brain)
    enhancement = series[..., crop.rows, crop.columns].copy()
    frames = enhancement.reshape(len(series), -1)
    onset = baseline_frames(frames @ brain.ravel().astype(np.float32))
    frames -= frames[:onset].mean(axis=0)
    dt = float(times[1] - times[0])
    found = find_vascular_input(enhancement, brain, dt, onset)
    values = _deconvolved(enhancement, brain, found.scaling * found.aif, dt, spacing)
    footprint = (1, *(int(MEDIAN_MM / size) | 1 for size in spacing[1:]))
    vessels = ndimage.maximum_filter(enhancement.max(axis=0), footprint) > VESSEL_HU
    (mean,) = blur_within(brain, mean[None], spacing, SMOOTHING_SIGMA_MM)
    shown = brain & (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1]) & ~vessels
    maps = {}
    for name in MAP_NAMES:
        value = np.clip(ndimage.median_filter(values[name], footprint), 0.0, CEILINGS[name]) * shown
        step = STEPS.get(name)
        maps[name] = crop.paste((np.rint(value / step) * step if step else value).astype(np.float32))
    return maps, found


def _deconvolved(
    enhancement: Volume, brain: BoolArray, aif: FloatArray, dt: float, spacing: tuple[float, float, float]
) -> dict[str, NDArray[np.float32]]:
    """The maps of :func:`perfusion_maps`, in less time.

    The regularised inverse P has a rank of a third of the frames. With Q an orthonormal basis of its rows and of the
    frames' sum, P C = P Q (Q' C) and sum C = sum Q (Q' C): only Q' C has to be smoothed, as smoothing in the plane and
    a product over frames may change places.
    """
    inverse, lags = block_circulant_inverse(aif, dt), read_lags(len(aif), dt)
    basis = _read_by(inverse)
    read = (basis.T @ enhancement.reshape(len(enhancement), -1)).reshape(-1, *brain.shape)
    smooth = blur_within(brain, read, spacing, SMOOTHING_SIGMA_MM).reshape(len(read), -1)
    curves = smooth.take(np.flatnonzero(brain), axis=1)
    area = (basis.sum(axis=0) / np.float32(aif.sum())) @ curves
    residue = Residue(values=(inverse[lags].astype(np.float32) @ basis) @ curves, lags=lags, area=area, dt=dt)
    maps = {}
    for name, values in residue.parameters().items():
        maps[name] = np.zeros(brain.shape, dtype=np.float32)
        maps[name][brain] = values
    return maps


def _read_by(inverse: FloatArray) -> NDArray[np.float32]:
    """Orthonormal curves ``(T, r)`` that span the rows of the inverse, and the sum of all frames."""
    rows = np.concatenate([inverse, np.full((1, inverse.shape[1]), np.abs(inverse).max())])
    strengths, curves = np.linalg.eigh(rows.T @ rows)
    return curves[:, strengths > RANK_TOLERANCE * strengths[-1]].astype(np.float32)


def _offsets(frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Jitter and drift of whole frames in HU."""
    jitter = np.clip(rng.normal(0.0, JITTER_SIGMA, frames), -JITTER_LIMIT, JITTER_LIMIT)
    return (jitter + np.linspace(0.0, DRIFT, frames)).astype(np.float32)


def _noise_amplitude(shape: tuple[int, ...], pixel: float, kind: Noise) -> NDArray[np.float32]:
    """Square root of the noise power for an FFT: A f exp(-(f / 0.35)^2), a ramp filter with its window, or flat.

    A makes the integral over all frequencies 1, so that larger pixels, which hold fewer of them, are less noisy; so are
    larger pixels of white noise than those of 1 mm.
    """
    if kind == "white":
        return np.full(shape, min(1.0, 1.0 / pixel), dtype=np.float32)
    frequency = np.hypot(fft.fftfreq(shape[0], pixel)[:, None], fft.fftfreq(shape[1], pixel))
    scale = 2.0 / (np.pi**1.5 * NOISE_BAND**3)
    return (np.sqrt(scale * frequency * np.exp(-((frequency / NOISE_BAND) ** 2))) / pixel).astype(np.float32)


def _noise_profile(shape: tuple[int, ...], pixel: float) -> NDArray[np.float32]:
    """Relative noise by distance from the centre: more in the middle, where fewer photons arrive."""
    rows, columns = ((np.arange(size) - (size - 1) / 2) * pixel for size in shape)
    radius = np.hypot(rows[:, None], columns)
    return (1.25 - 0.35 * np.clip(radius / 85.0, 0, 1.2) ** 2).astype(np.float32)


def _coloured_noise(
    shape: tuple[int, ...], pixel: float, dose: Dose, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Frames ``(D, H, W)`` of noise, ``shape`` ``(n, D, H, W)``.

    White noise has a white spectrum, so the spectrum is drawn, and one complex transform gives two frames. Its numbers
    are bytes: a pixel adds up thousands of them, and so is normal.
    """
    _, depth, height, width = shape
    plane = (height, width)
    amplitude = _noise_amplitude(plane, pixel, dose.noise) * np.float32(np.sqrt(height * width) / ODD_SIGMA)
    profile = np.float32(dose.sigma) * _noise_profile(plane, pixel)
    amplitude = amplitude.repeat(2, axis=1)  # of real and imaginary parts
    for first in range(0, shape[0], 2):
        drawn = (rng.bit_generator.random_raw(-(-depth * height * width // 4)) | ODD).view(np.int8)
        spectrum = drawn[: 2 * depth * height * width].reshape(depth, height, 2 * width).astype(np.float32)
        spectrum *= amplitude
        noise = fft.ifft2(spectrum.view(np.complex64), overwrite_x=True)
        yield profile * noise.real
        if first + 1 < shape[0]:
            yield profile * noise.imag
