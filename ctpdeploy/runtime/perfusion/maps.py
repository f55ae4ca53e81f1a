"""Perfusion maps from a raw series: the brain, its arterial input, and the deconvolution of every voxel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES, BoolArray, FloatArray
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.perfusion.arteries import VascularInput, baseline_frames, find_vascular_input
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.perfusion.deconvolution import residue_functions
from ctpdeploy.runtime.perfusion.frames import uniform_frames
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax
from ctpdeploy.runtime.perfusion.parenchyma import left_out, parenchyma
from ctpdeploy.runtime.perfusion.smoothing import smooth_in_plane

__all__ = ["PerfusionMaps", "perfusion_maps"]

_LEAST_HEALTHY_TMAX = 0.5
"""s. Contrast reaches healthy tissue after the arteries; where it seems not to, the input is late, as a vein's is."""


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
        InputError: the series is no array of finite numbers, holds no brain or no artery, or its times do not ascend;
            or Tmax would vanish in both hemispheres, as where the arterial input is a vein's.
    """
    config = config or PerfusionConfig()
    _require_numbers(series, spacing)
    series, times, findings = uniform_frames(series, np.asarray(times, dtype=np.float64))
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
    smooth = smooth_in_plane(enhancement, brain, spacing, config.smoothing_fwhm_mm)
    curves = smooth.reshape(len(smooth), -1).take(np.flatnonzero(brain), axis=1)
    residue = residue_functions(curves, scaling * vessels.aif, dt, config)
    values = residue.parameters(config.tmax)
    maps = {name: _scatter(values[name], brain) for name in MAP_NAMES}
    shown = parenchyma(mean, maps["cbv"], brain)
    # an onset is counted in whole frames, of which it may rightly be the first
    maximum = maps["tmax"] if config.tmax == "maximum" else _scatter(residue.maximum(), brain)
    _require_delay(maximum, shown & (maps["cbf"] > 0))
    return PerfusionMaps(
        maps={name: volume * shown for name, volume in maps.items()},
        brain=brain,
        vessels=vessels,
        scaling=scaling,
        times=times,
        findings=(*findings, *vessels.findings, *left_out(mean, brain, shown, spacing)),
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


def _require_delay(tmax: FloatArray, tissue: BoolArray) -> None:
    """Refuse a Tmax, of the maximum, that vanishes in both hemispheres.

    Raises:
        InputError: it does.
    """
    healthy = healthy_tmax(tmax, tissue)
    if healthy is not None and healthy < _LEAST_HEALTHY_TMAX:
        raise InputError(
            f"Tmax would be {healthy:.1f} s in the healthier hemisphere, so the arterial input found is late, as "
            "a vein's is: check that the slab holds an artery, or give the case perfusion maps."
        )


def _scatter(values: FloatArray, mask: BoolArray) -> NDArray[np.float32]:
    """Values of the voxels in the mask, in a volume of zeros."""
    volume = np.zeros(mask.shape, dtype=np.float32)
    volume[mask] = values
    return volume
