"""oSVD against a slow twin in float64: voxel by voxel, truncation by truncation, from the formulas as printed."""

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tissue_curves import aif, tissue

from ctpdeploy.runtime.data.perfusion_config import THRESHOLDS, PerfusionConfig
from ctpdeploy.runtime.perfusion.deconvolution import deconvolve
from ctpdeploy.runtime.perfusion.oscillation import steady_residue

Array = NDArray[np.float64]
LIMIT = THRESHOLDS["osvd"]


def oscillation_index(residue: Array) -> float:
    size = len(residue)
    bends = sum(abs(residue[i] - 2 * residue[i - 1] + residue[i - 2]) for i in range(2, size))
    return bends / size / residue.max() if residue.max() > 0 else np.inf


def residues(curve: Array, arterial: Array, dt: float) -> list[Array]:
    """K of every truncation, from the one that keeps most singular values of the circulant matrix."""
    size = 2 * len(arterial)
    spectrum = np.fft.fft(arterial, size) * dt
    quotient = np.fft.fft(curve, size) / spectrum
    levels = np.unique(np.abs(spectrum[: len(arterial) + 1]))  # both of a pair fall together
    return [np.fft.ifft(np.where(np.abs(spectrum) >= 0.999999 * level, quotient, 0)).real for level in levels]


def slow_residue(curves: Array, arterial: Array, dt: float, limit: float, skip: int = 0) -> Array:
    """The first steady K of each voxel; ``skip`` takes one that many truncations further."""
    found = []
    for curve in curves.T:
        ladder = residues(curve, arterial, dt)
        rung = next((i for i, k in enumerate(ladder) if oscillation_index(k) <= limit), len(ladder) - 1)
        found.append(ladder[min(rung + skip, len(ladder) - 1)])
    return np.stack(found, axis=1)


def noisy_curves(frames: int, dt: float, noise: float, seed: int = 0) -> Array:
    """Tissue of every kind, noise alone and less than nothing, all with noise; sharp onsets and nothing, without."""
    times, random = dt * np.arange(frames), np.random.default_rng(seed)
    voxels = [
        tissue(times, cbf=60 * 4 / mtt, cbv=4.0, delay=delay, kind=kind)
        for kind in ("box", "exponential", "gamma")
        for mtt in (3.5, 6.0, 14.0)
        for delay in (-2.0, 0.0, 4.0)
    ]
    voxels += [np.zeros(frames), -voxels[0]]
    curves = np.stack(voxels, axis=1)
    curves += random.normal(0.0, noise, curves.shape)
    # a residue function that jumps between the last lag and the first, where the index does not look
    jump = [dt * np.convolve(aif(times), np.exp(-times / mtt))[:frames] for mtt in (2.0, 3.0, 4.0)]
    return np.column_stack([curves, *jump, np.zeros(frames)])


@pytest.mark.parametrize("limit", [0.005, LIMIT, 0.1])
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
@pytest.mark.parametrize(("frames", "dt"), [(45, 1.0), (24, 2.0)])
def test_every_voxel_has_the_residue_function_of_the_slow_twin(frames: int, dt: float, noise: float, limit: float):
    arterial, curves = aif(dt * np.arange(frames)), noisy_curves(frames, dt, noise)
    lags = np.arange(-frames, frames)
    found = steady_residue(curves, arterial, dt, limit, lags)
    expected = slow_residue(curves, arterial, dt, limit)[lags]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(("limit", "skip"), [(1.1 * LIMIT, 0), (0.9 * LIMIT, 0), (LIMIT, 1)])
def test_another_limit_and_the_next_rung_are_told_from_it(limit: float, skip: int):
    """Were they not, the comparison above would hold nothing."""
    arterial, curves = aif(np.arange(45.0)), noisy_curves(45, 1.0, 0.3)
    found = steady_residue(curves, arterial, 1.0, LIMIT, np.arange(45))
    other = slow_residue(curves, arterial, 1.0, limit, skip)[:45]
    assert np.abs(found - other).max() > 1e-3 * np.abs(found).max()


def test_single_precision_chooses_another_rung_only_where_the_limit_is_met_to_rounding():
    arterial, curves = (
        aif(np.arange(45.0)),
        np.concatenate([noisy_curves(45, 1.0, noise, seed) for noise in (0.3, 1.0) for seed in range(20)], axis=1),
    )
    lags = np.arange(45)
    double = steady_residue(curves, arterial, 1.0, LIMIT, lags)
    single = steady_residue(curves.astype(np.float32), arterial, 1.0, LIMIT, lags)
    assert single.dtype == np.float32
    apart = np.flatnonzero(np.abs(single - double).max(axis=0) > 1e-4 * np.abs(double).max())
    assert len(apart) < 0.005 * curves.shape[1]
    for voxel in apart:
        indices = [oscillation_index(k) for k in residues(curves[:, voxel], arterial, 1.0)]
        assert min(abs(index / LIMIT - 1) for index in indices) < 1e-4


def test_voxels_do_not_depend_on_how_many_there_are(monkeypatch: pytest.MonkeyPatch):
    arterial, curves = aif(np.arange(45.0)), noisy_curves(45, 1.0, 0.3)
    together = steady_residue(curves, arterial, 1.0, LIMIT, np.arange(45))
    monkeypatch.setattr("ctpdeploy.runtime.perfusion.oscillation._VOXELS", 7)
    apart = steady_residue(curves, arterial, 1.0, LIMIT, np.arange(45))
    np.testing.assert_allclose(apart, together, rtol=0, atol=1e-12 * np.abs(together).max())


@pytest.mark.parametrize(("noise", "cbf", "least_gain"), [(0.05, 50.0, 3.0), (6.0, 15.0, 2.0)])
def test_the_truncation_follows_the_noise(noise: float, cbf: float, least_gain: float):
    """Quiet voxels keep flow that a fixed threshold smooths away; in loud ones less noise is taken for flow."""
    times = np.arange(60.0)
    curves = tissue(times, cbf=cbf, cbv=4.0)[:, None] + np.random.default_rng(0).normal(0.0, noise, (60, 400))
    fixed, own = (
        abs(deconvolve(curves, aif(times), 1.0, PerfusionConfig(method=method))["cbf"].mean() - cbf)  # type: ignore[arg-type]
        for method in ("tsvd", "osvd")
    )
    assert own < fixed / least_gain
