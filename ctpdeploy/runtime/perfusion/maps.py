"""Perfusion maps from a raw series by block-circulant deconvolution.

The tracer's conservation gives, for a voxel with flow F and residue function R (Ostergaard et al. 1996)::

    C(t) = (rho / k_H) F  integral AIF(s) R(t - s) ds        C, AIF in HU above baseline

Discretised on T frames of dt seconds and padded to 2T, the integral is a circulant matrix (Wu et al. 2003), so
that delays of either sign are allowed. A circulant is diagonal in Fourier space: its singular values are
``abs(FFT(aif)) dt``, and a regularised inverse is one matrix, the same for all voxels: ``K = P C``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.arteries import VascularInput, baseline_frames, find_vascular_input
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.perfusion.parenchyma import parenchyma

__all__ = [
    "DENSITY",
    "HAEMATOCRIT_RATIO",
    "PerfusionConfig",
    "PerfusionMaps",
    "block_circulant_inverse",
    "deconvolve",
    "perfusion_maps",
    "resample_frames",
    "smooth_in_plane",
]

DENSITY = 1.04
"""rho, density of brain tissue in g/ml."""

HAEMATOCRIT_RATIO = (1.0 - 0.45) / (1.0 - 0.25)
"""k_H: plasma share in large vessels over that in capillaries (haematocrit 0.45 and 0.25)."""

EARLIEST_LAG = -5.0
"""s. The artery found may lie downstream of a voxel's own; more than this is noise."""

_ONSET = 0.95
"""Share of the maximum at which a residue function has arrived."""

_MOST_RESAMPLED = 10
"""Frames on a uniform grid for each frame there is; more is a gap that no interpolation bridges."""

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, kw_only=True)
class PerfusionConfig:
    """Settings of the computation of maps.

    Attributes:
        method: ``"tsvd"`` drops singular values below the threshold, ``"tikhonov"`` damps them.
        threshold: fraction of the largest singular value.
        smoothing_fwhm_mm: Gaussian in-plane smoothing of the series before deconvolution; 0 for none.
        tmax: where a residue function is read: ``"maximum"``, refined by a parabola, as the reference software does, or
            ``"onset"``, its first sample of at least 95 % of the maximum. Truncation widens the peak, so the maximum
            lies about 2 s late everywhere; the onset does not, and 6 s of it is no reference software's 6 s.
        vof_scaling: raise the AIF to the area of the VOF. An internal carotid's area can exceed the sinus's
            (PLoS One 10.1371/journal.pone.0097586), so it only ever raises, and the factor is reported.
    """

    method: Literal["tsvd", "tikhonov"] = "tsvd"
    threshold: float = 0.10
    smoothing_fwhm_mm: float = 4.0
    tmax: Literal["maximum", "onset"] = "maximum"
    vof_scaling: bool = True


@dataclass(frozen=True, kw_only=True)
class PerfusionMaps:
    """Maps of a series, with all that they rest on.

    Attributes:
        maps: CBF, CBV, MTT, Tmax by the names ``cbf, cbv, mtt, tmax``, each float32 ``(D, H, W)`` in ml/100g/min,
            ml/100g, s and s; zero outside the parenchyma.
        brain: mask ``(D, H, W)``.
        vessels: the AIF and the VOF as measured, and the voxels behind them.
        scaling: factor put on the AIF.
        times: frame times of the two curves ``(T,)`` in s, uniform.
        findings: what was assumed or not found.
    """

    maps: dict[str, NDArray[np.float32]]
    brain: BoolArray
    vessels: VascularInput
    scaling: float
    times: FloatArray
    findings: tuple[Finding, ...] = ()

    @property
    def aif(self) -> FloatArray:
        """The arterial input function used, scaled, ``(T,)`` in HU above baseline."""
        return self.scaling * self.vessels.aif

    @property
    def vof(self) -> FloatArray:
        """The venous output function ``(T,)`` in HU above baseline."""
        return self.vessels.vof


def perfusion_maps(
    series: NDArray[Any],
    times: FloatArray,
    spacing: tuple[float, float, float],
    config: PerfusionConfig | None = None,
) -> PerfusionMaps:
    """Compute CBF, CBV, MTT and Tmax of a series.

    Args:
        series: ``(T, D, H, W)`` in HU, skull included.
        times: frame times ``(T,)`` in s, ascending, or those of each frame and slice ``(T, D)``; unequal intervals are
            resampled linearly, slices to common times.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
        config: defaults to ``PerfusionConfig()``.

    Raises:
        InputError: the series is no array of finite numbers, holds no brain or no artery, or its times do not ascend.
    """
    config = config or PerfusionConfig()
    _require_numbers(series, spacing)
    series, times, findings = _uniform(series, np.asarray(times, dtype=np.float64))
    dt = float(times[1] - times[0])
    mean = series.mean(axis=0, dtype=np.float32)
    brain = brain_mask(mean, spacing)
    if not brain.any():
        raise InputError(
            "No brain found in the series: check that it holds a head in HU, slices along the second axis."
        )
    baseline = baseline_frames(series[:, brain].mean(axis=1, dtype=np.float64))
    enhancement = series - series[:baseline].mean(axis=0, dtype=np.float32)
    vessels = find_vascular_input(enhancement, brain, dt, baseline)
    scaling = vessels.scaling if config.vof_scaling else 1.0
    curves = smooth_in_plane(enhancement, brain, spacing, config.smoothing_fwhm_mm)[:, brain]
    values = deconvolve(curves, scaling * vessels.aif, dt, config)
    maps = {name: _scatter(values[name], brain) for name in MAP_NAMES}
    shown = parenchyma(mean, maps["cbv"], brain)
    return PerfusionMaps(
        maps={name: volume * shown for name, volume in maps.items()},
        brain=brain,
        vessels=vessels,
        scaling=scaling,
        times=times,
        findings=findings + vessels.findings,
    )


def _require_numbers(series: NDArray[Any], spacing: Sequence[float]) -> None:
    """Refuse what no maps can be computed from.

    Raises:
        InputError: as :func:`perfusion_maps`.
    """
    given: object = series  # whatever its annotation
    array = isinstance(given, np.ndarray) and given.ndim == 4 and given.dtype.kind in "iuf" and given.size > 0
    if not array or np.ma.is_masked(series) or not np.isfinite(series.sum(dtype=np.float64)):
        raise InputError("The series is no array (T, D, H, W) of finite numbers: give one, in HU, not masked.")
    sizes = np.asarray(spacing)
    if sizes.shape != (3,) or sizes.dtype.kind not in "iuf" or not np.all((sizes > 0) & np.isfinite(sizes)):
        raise InputError(f"The voxel size {spacing!r} is not three lengths in mm: give (dz, dy, dx).")


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
    lags = np.arange(int(np.ceil(EARLIEST_LAG / dt)), len(aif))
    inverse = block_circulant_inverse(aif, dt, method=config.method, threshold=config.threshold)
    residue = inverse[lags % (2 * len(aif))].astype(curves.dtype) @ curves
    peak = np.argmax(residue, axis=0)
    cbf = 6000.0 * HAEMATOCRIT_RATIO / DENSITY * np.clip(residue.max(axis=0), 0.0, None)
    cbv = 100.0 * HAEMATOCRIT_RATIO / DENSITY * np.clip(curves.sum(axis=0) / aif.sum(), 0.0, None)
    mtt = np.divide(60.0 * cbv, cbf, out=np.zeros_like(cbv), where=cbf > 0)
    if config.tmax == "onset":
        frame = lags[np.argmax(residue >= _ONSET * residue.max(axis=0), axis=0)]
    else:
        frame = lags[peak] + _parabola(residue, peak)
    tmax = np.clip(frame * dt, 0.0, None)
    return {name: value.astype(curves.dtype) for name, value in zip(MAP_NAMES, (cbf, cbv, mtt, tmax), strict=True)}


def block_circulant_inverse(
    aif: FloatArray, dt: float, *, method: Literal["tsvd", "tikhonov"] = "tsvd", threshold: float = 0.10
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
    return linalg.circulant(np.fft.ifft(inverse).real)[:, : len(aif)]


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


def resample_frames(series: NDArray[Any], times: FloatArray, wanted: FloatArray) -> NDArray[np.float32]:
    """Linear interpolation of ``(T, ...)`` at ``times`` to the frame times ``wanted``, both in s, ascending."""
    right = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    share = ((wanted - times[right - 1]) / (times[right] - times[right - 1])).astype(np.float32)
    share = share.reshape(-1, *(1,) * (series.ndim - 1))
    return (1 - share) * series[right - 1] + share * series[right]


def _uniform(series: NDArray[Any], times: FloatArray) -> tuple[NDArray[Any], FloatArray, tuple[Finding, ...]]:
    """The series on a uniform time grid, its times, and a finding if it had another."""
    steps = np.diff(times, axis=0)
    ascend = np.isfinite(times).all() and np.all(steps > 0)
    if times.shape not in (series.shape[:1], series.shape[:2]) or len(times) < 2 or not ascend:
        raise InputError(
            f"The frame times ({len(times)} for {len(series)} frames) must ascend, one a frame: check the time tags."
        )
    dt = float(np.median(steps))
    if times.ndim == 1 and np.allclose(steps, dt, rtol=1e-3):
        return series, times, ()
    of_slices = times[:, None] if times.ndim == 1 else times
    # what every slice has seen: nothing is extrapolated
    first, last = of_slices[0].max(), of_slices[-1].min()
    if last - first > _MOST_RESAMPLED * dt * len(times):
        raise InputError(
            f"The frame times have steps from {steps.min():.3g} to {steps.max():.3g} s: too unequal to be of one scan; "
            "check the time tags."
        )
    grid = np.arange(first, last + 1e-6 * dt, dt)
    if len(grid) < 2:
        raise InputError("The times of the slices have less than two frames in common: check the time tags.")
    if times.ndim == 1:
        resampled = resample_frames(series, times, grid)
    else:
        slices = zip(np.moveaxis(series, 1, 0), times.T, strict=True)
        resampled = np.stack([resample_frames(frames, clock, grid) for frames, clock in slices], axis=1)
    return resampled, grid, (finding("times-resampled", f"Unequal frame times were resampled to {dt:g} s."),)


def _parabola(residue: FloatArray, peak: NDArray[np.int64]) -> FloatArray:
    """Offset in frames, within ±0.5, of the vertex through each maximum and its two neighbours."""
    inner = np.clip(peak, 1, len(residue) - 2)
    left, centre, right = (np.take_along_axis(residue, (inner + shift)[None], axis=0)[0] for shift in (-1, 0, 1))
    bend = left - 2.0 * centre + right
    offset = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(peak == inner, np.clip(offset, -0.5, 0.5), 0.0)


def _scatter(values: FloatArray, mask: BoolArray) -> NDArray[np.float32]:
    """Values of the voxels in the mask, in a volume of zeros."""
    volume = np.zeros(mask.shape, dtype=np.float32)
    volume[mask] = values
    return volume
