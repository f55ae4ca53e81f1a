"""Block-circulant deconvolution: from tissue curves and the arterial input to perfusion parameters.

The tracer's conservation gives, for a voxel with flow F and residue function R (Ostergaard et al. 1996)::

    C(t) = (rho / k_H) F  integral AIF(s) R(t - s) ds        C, AIF in HU above baseline

Discretised on T frames of dt seconds and padded to 2T, the integral is a circulant matrix (Wu et al. 2003), so
that delays of either sign are allowed. A circulant is diagonal in Fourier space: its singular values are
``abs(FFT(aif)) dt``, and a regularised inverse is one matrix, the same for all voxels: ``K = P C``. Under oSVD each
voxel has its own (:mod:`ctpdeploy.runtime.perfusion.oscillation`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import MAP_NAMES, FloatArray
from ctpdeploy.runtime.data.map_units import DENSITY
from ctpdeploy.runtime.data.perfusion_config import THRESHOLDS, PerfusionConfig
from ctpdeploy.runtime.perfusion.oscillation import steady_residue

__all__ = [
    "DENSITY",
    "HAEMATOCRIT_RATIO",
    "Residue",
    "block_circulant_inverse",
    "deconvolve",
    "read_lags",
    "residue_functions",
]

HAEMATOCRIT_RATIO = (1.0 - 0.45) / (1.0 - 0.25)
"""k_H: plasma share in large vessels over that in capillaries (haematocrit 0.45 and 0.25)."""

EARLIEST_LAG = -5.0
"""s. The artery found may lie downstream of a voxel's own; more than this is noise."""

_ONSET = 0.95
"""Share of the maximum at which a residue function has arrived."""


@dataclass(frozen=True, kw_only=True)
class Residue:
    """Residue functions of voxels, and what is read from them.

    Attributes:
        values: K = F R rho/k_H in 1/s ``(L, N)``.
        lags: of the rows, in frames, as of :func:`read_lags` ``(L,)``.
        area: sum of each voxel's curve over that of the arterial input ``(N,)``.
        dt: frame interval in s.
    """

    values: FloatArray
    lags: NDArray[np.int64]
    area: FloatArray
    dt: float

    def parameters(self, tmax: Literal["maximum", "onset"] = "maximum") -> dict[str, FloatArray]:
        """Perfusion parameters, as :func:`deconvolve` returns them, with the time of the maximum or of the onset."""
        cbf = 6000.0 * HAEMATOCRIT_RATIO / DENSITY * np.clip(self.values.max(axis=0), 0.0, None)
        cbv = 100.0 * HAEMATOCRIT_RATIO / DENSITY * np.clip(self.area, 0.0, None)
        mtt = np.divide(60.0 * cbv, cbf, out=np.zeros_like(cbv), where=cbf > 0)
        values = (cbf, cbv, mtt, self.maximum() if tmax == "maximum" else self.onset())
        return {name: value.astype(self.values.dtype) for name, value in zip(MAP_NAMES, values, strict=True)}

    def maximum(self) -> FloatArray:
        """Time of the maximum in s ``(N,)``, between frames, negative ones set to 0."""
        peak = np.argmax(self.values, axis=0)
        return self._seconds(self.lags[peak] + _parabola(self.values, peak))

    def onset(self) -> FloatArray:
        """Time of the first of at least 95 % of the maximum in s ``(N,)``, likewise."""
        return self._seconds(self.lags[np.argmax(self.values >= _ONSET * self.values.max(axis=0), axis=0)])

    def _seconds(self, frame: NDArray[np.floating[Any] | np.int64]) -> FloatArray:
        return np.clip(frame * self.dt, 0.0, None)


def read_lags(frames: int, dt: float) -> NDArray[np.int64]:
    """The lags at which residue functions are read, in frames, ascending: from ``EARLIEST_LAG`` to the last frame."""
    return np.arange(int(np.ceil(EARLIEST_LAG / dt)), frames)


def deconvolve(
    curves: FloatArray, aif: FloatArray, dt: float, config: PerfusionConfig | None = None
) -> dict[str, FloatArray]:
    """Perfusion parameters of tissue curves.

    CBF = 6000 k_H/rho max K, CBV = 100 k_H/rho sum C / sum AIF, MTT = 60 CBV / CBF, and Tmax the time of the maximum
    of K or of its onset, as configured, negative times set to 0.

    Args:
        curves: HU above baseline, ``(T, N)``.
        aif: arterial input function, HU above baseline, ``(T,)``.
        dt: frame interval in s.
        config: method and threshold; defaults to ``PerfusionConfig()``.

    Returns:
        ``cbf`` ml/100g/min, ``cbv`` ml/100g, ``mtt`` s, ``tmax`` s, each ``(N,)`` in the dtype of ``curves``.
    """
    config = config or PerfusionConfig()
    return residue_functions(curves, aif, dt, config).parameters(config.tmax)


def residue_functions(curves: FloatArray, aif: FloatArray, dt: float, config: PerfusionConfig) -> Residue:
    """Residue functions of tissue curves, with the arguments of :func:`deconvolve`."""
    lags = read_lags(len(aif), dt)
    if config.method == "osvd":
        values = steady_residue(curves, aif, dt, config.limit, lags)
    else:
        inverse = block_circulant_inverse(aif, dt, method=config.method, threshold=config.limit)
        values = inverse[lags].astype(curves.dtype) @ curves
    return Residue(values=values, lags=lags, area=curves.sum(axis=0) / aif.sum(), dt=dt)


def block_circulant_inverse(
    aif: FloatArray, dt: float, *, method: Literal["tsvd", "tikhonov"] = "tsvd", threshold: float = THRESHOLDS["tsvd"]
) -> NDArray[np.float64]:
    """The regularised inverse P of the block-circulant convolution with the AIF.

    With A = FFT(aif, 2T) dt and m = threshold * max(abs(A)), the diagonal of the inverse in Fourier space is
    ``1 / A`` where ``abs(A) >= m`` and 0 elsewhere (tsvd), or ``conj(A) / (abs(A)^2 + m^2)`` (tikhonov).

    Returns:
        P, float64 ``(2T, T)``: ``P @ curve`` is F R rho/k_H in 1/s at lags 0, dt, ..., then -T dt, ..., -dt.
    """
    spectrum = np.fft.fft(np.asarray(aif, dtype=np.float64), 2 * len(aif)) * dt
    power = np.abs(spectrum) ** 2
    floor = threshold**2 * power.max()
    if method == "tsvd":
        inverse = np.divide(spectrum.conj(), power, out=np.zeros_like(spectrum), where=power >= floor)
    else:
        inverse = spectrum.conj() / (power + floor)
    lags = np.arange(len(spectrum))[:, None] - np.arange(len(aif))
    return np.fft.ifft(inverse).real[lags % len(spectrum)]


def _parabola(residue: FloatArray, peak: NDArray[np.int64]) -> FloatArray:
    """Offset in frames, within ±0.5, of the vertex through each maximum and its two neighbours."""
    inner = np.clip(peak, 1, len(residue) - 2)
    left, centre, right = (np.take_along_axis(residue, (inner + shift)[None], axis=0)[0] for shift in (-1, 0, 1))
    bend = left - 2.0 * centre + right
    offset = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(peak == inner, np.clip(offset, -0.5, 0.5), 0.0)
