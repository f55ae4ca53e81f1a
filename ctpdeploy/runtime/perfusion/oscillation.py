"""Oscillation-index SVD: each voxel's own truncation, the least that leaves its residue function steady.

The oscillation index of a residue function K of L samples (Wu et al., Magn Reson Med 50:164, 2003) is::

    OI = 1 / (L max K) * sum over i = 2 ... L-1 of |K(i) - 2 K(i-1) + K(i-2)|

Truncations form a ladder: rung r keeps the r strongest frequencies of the AIF, of which each is a pair of singular
values. On it K is a sum of r waves of amplitude ``a``, and its circular second difference D one of waves of amplitude
``d = 4 sin^2(pi f / L) a``. Let w be 1 for the frequencies f = 0 and T, else 2. Then ::

    max K <= sum a,    sum |D| >= max L d / w

as no wave of modulus 1 has more in common with D than the sum of its moduli. Two terms of D reach around the end and
are not the index's; they are taken off. So the index is bounded from below on all rungs without computing K, which
rules out nearly all where K is noise. On those left, from the top, it is computed as defined, until it is low enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["steady_residue"]

_VOXELS = 4096
"""At a time: what belongs to them stays in the processor's cache."""

_ROUNDING = 1e-4
"""Share of a bound that float32 may be wrong by: what is just steady enough must not be ruled out."""

_RANK = 1e-12
"""Of the strongest frequency; weaker ones are rounding."""


def steady_residue(curves: FloatArray, aif: FloatArray, dt: float, limit: float, lags: NDArray[np.int64]) -> FloatArray:
    """Residue functions of the least truncation at which their oscillation index is at most ``limit``.

    Where there is none it is the strongest, which keeps one frequency.

    Args:
        curves: HU above baseline, ``(T, N)``.
        aif: arterial input function, HU above baseline, ``(T,)``.
        dt: frame interval in s.
        limit: of the oscillation index over all L = 2T lags.
        lags: those to return, in frames from -T to T - 1.

    Returns:
        F R rho/k_H in 1/s, ``(len(lags), N)`` in the dtype of ``curves``.
    """
    ladder = _Ladder.of(aif, dt, curves.dtype)
    wanted = ladder.synthesis[lags % len(ladder.synthesis)]
    numbers = np.arange(ladder.rungs)[:, None, None]
    residue = np.empty((len(lags), curves.shape[1]), dtype=curves.dtype)
    for start in range(0, curves.shape[1], _VOXELS):
        part = slice(start, start + _VOXELS)
        waves, ends = ladder.analyse(curves[:, part])
        kept = ladder.least_truncation(waves, ends, limit)
        residue[:, part] = wanted @ np.where(numbers < kept, waves, 0).reshape(2 * ladder.rungs, -1)
    return residue


@dataclass(frozen=True, kw_only=True)
class _Ladder:
    """All truncations of the deconvolution by an AIF, from one frequency kept to all.

    Attributes:
        analysis: ``(4 R, T)``, from a curve to four numbers a rung: cosine and sine of its own wave, and the two values
            of D that reach around the end, of all waves up to it.
        synthesis: ``(L, 2 R)``, from waves to K at the lags 0, 1, ..., then -T, ..., -1.
        bend: ``(R,)``, L d / w for a = 1.
    """

    analysis: FloatArray
    synthesis: FloatArray
    bend: FloatArray

    @classmethod
    def of(cls, aif: FloatArray, dt: float, dtype: np.dtype[np.floating]) -> Self:
        """The ladder of an AIF ``(T,)``."""
        frames = len(aif)
        size = 2 * frames
        spectrum = np.fft.rfft(np.asarray(aif, dtype=np.float64), size) * dt
        order = np.argsort(-np.abs(spectrum), kind="stable")
        order = order[np.abs(spectrum[order]) > _RANK * np.abs(spectrum[order[0]])]
        weight = np.where((order == 0) | (order == frames), 1.0, 2.0)
        turn = 2.0j * np.pi * order / size
        wave = (weight / size / spectrum[order])[:, None] * np.exp(-np.outer(turn, np.arange(frames)))
        bend = 4.0 * np.sin(np.pi * order / size) ** 2
        ends = [np.cumsum((bend * np.exp(-turn * back))[:, None] * wave, axis=0).real for back in (0, 1)]
        analysis = np.stack([wave.real, wave.imag, *ends], axis=1).reshape(-1, frames)
        lags = np.exp(np.outer(np.arange(size), turn))
        synthesis = np.stack([lags.real, -lags.imag], axis=2).reshape(size, -1)
        return cls(
            analysis=analysis.astype(dtype),
            synthesis=synthesis.astype(dtype),
            bend=(size * bend / weight).astype(dtype),
        )

    @property
    def rungs(self) -> int:
        """R, number of frequencies."""
        return len(self.bend)

    def analyse(self, curves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Waves ``(R, 2, N)`` of curves ``(T, N)``, and the values of D that reach around the end, likewise."""
        numbers = (self.analysis @ curves).reshape(self.rungs, 4, -1)
        return numbers[:, :2], numbers[:, 2:]

    def least_truncation(self, waves: FloatArray, ends: FloatArray, limit: float) -> NDArray[np.int64]:
        """Number of frequencies kept in each voxel ``(N,)``."""
        highest = limit * len(self.synthesis)
        possible = list(self._possible(waves, ends, highest))
        numbers = waves.reshape(2 * self.rungs, -1)
        kept = np.ones(numbers.shape[1], dtype=np.int64)
        for rung in range(self.rungs, 1, -1):
            voxels = np.flatnonzero(possible[rung - 1] & (kept == 1))
            if voxels.size:
                residue = self.synthesis[:, : 2 * rung] @ numbers[: 2 * rung].take(voxels, axis=1)
                bends = np.diff(residue, n=2, axis=0)
                steady = np.abs(bends, out=bends).sum(axis=0) <= highest * residue.max(axis=0)
                kept[voxels[steady]] = rung
        return kept

    def _possible(self, waves: FloatArray, ends: FloatArray, highest: float) -> Iterator[BoolArray]:
        """For each rung the voxels ``(N,)`` whose bound does not forbid it; row by row, as NumPy sums rows fast."""
        amplitudes = np.zeros_like(waves[0, 0])
        bent = np.zeros_like(amplitudes)
        for (cosine, sine), around, bend in zip(waves, ends, self.bend, strict=True):
            amplitude = np.sqrt(cosine * cosine + sine * sine)
            amplitudes += amplitude
            np.maximum(bent, bend * amplitude, out=bent)
            yield (1.0 - _ROUNDING) * bent - np.abs(around).sum(axis=0) <= highest * amplitudes
