"""Tissue curves in closed form: an arterial input, residue functions, and their convolution on a fine grid."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ctpdeploy.runtime.perfusion.deconvolution import DENSITY, HAEMATOCRIT_RATIO

Curve = NDArray[np.float64]
FINE = 0.01  # s, grid of the closed forms

RESIDUES: dict[str, Callable[[Curve, float], Curve]] = {
    "box": lambda t, mtt: (t < mtt).astype(float),
    "exponential": lambda t, mtt: np.exp(-t / mtt),
    "gamma": lambda t, mtt: special.gammaincc(3.0, 3.0 * t / mtt),
}


def aif(t: Curve, *, start: float = 8.0, shape: float = 3.0, scale: float = 2.4, peak: float = 400.0) -> Curve:
    u = np.clip(t - start, 0, None) / scale
    return peak * (u / shape) ** shape * np.exp(shape - u)


def tissue(times: Curve, *, cbf: float, cbv: float, delay: float = 0.0, kind: str = "gamma", **bolus: float) -> Curve:
    """A tissue curve by direct numerical convolution on a fine grid, float64."""
    fine = np.arange(0.0, times[-1] + FINE, FINE)
    residue = RESIDUES[kind](fine, 60.0 * cbv / cbf)
    size = 2 * len(fine)
    spectrum = np.fft.rfft(aif(fine - delay, **bolus), size) * np.fft.rfft(residue, size)
    curve = np.fft.irfft(spectrum, size)[: len(fine)] * FINE * DENSITY / HAEMATOCRIT_RATIO * cbf / 6000.0
    return np.interp(times, fine, curve)
