"""The voxel grid in millimetres, and smooth random fields that do not depend on it.

Everything in a patient is a function of place. The same seed therefore gives the same head at every grid size: a
field draws its numbers on a lattice in millimetres, and only then is evaluated at the voxels.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Grid", "Volume", "either", "logistic", "smooth_noise"]

Volume = NDArray[np.floating[Any]]
"""One number a voxel: float32, fine ``(D * subslices, H, W)`` or averaged ``(D, H, W)``."""

LATTICE_BOX = ((-95.0, 115.0), (-160.0, 130.0), (-145.0, 145.0))
"""z, y and x of the head with its surroundings, in mm."""

BSPLINE_ENERGY = 151.0 / 315.0
"""Integral of the squared cubic B-spline: the variance that one axis of the lattice keeps."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Centres of the fine voxels: the slices of a series, each cut into thinner ones for partial volume.

    Attributes:
        z: ``(D * subslices,)`` in mm, towards the head's top.
        y: ``(H,)`` in mm, towards the front.
        x: ``(W,)`` in mm, towards the patient's right.
        subslices: fine slices in each slice.
        spacing: size of the series' voxels ``(dz, dy, dx)`` in mm.
    """

    z: FloatArray
    y: FloatArray
    x: FloatArray
    subslices: int
    spacing: tuple[float, float, float]

    @classmethod
    def centred(
        cls, *, size: int, slices: int, subslices: int, fov: float, thickness: float, bottom: float, centre_y: float
    ) -> "Grid":
        """A square grid of a field of view of ``fov`` mm, and slices of ``thickness`` mm from ``bottom`` upwards."""
        pixel = fov / size
        offsets = (np.arange(size) - (size - 1) / 2) * pixel
        z = bottom + (np.arange(slices * subslices) + 0.5) * thickness / subslices
        return cls(z=z, y=centre_y + offsets, x=offsets, subslices=subslices, spacing=(thickness, pixel, pixel))

    def cropped(self, rows: slice, columns: slice) -> "Grid":
        """The part of the grid in these rows and columns."""
        return replace(self, y=self.y[rows], x=self.x[columns])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the series ``(D, H, W)``."""
        return len(self.z) // self.subslices, len(self.y), len(self.x)

    def average(self, volume: NDArray[Any], up_mm: float = 0.0) -> Volume:
        """Partial volume: the mean over the fine slices of each slice, ``(D, H, W)``.

        Raised by ``up_mm`` beforehand, with linear interpolation between fine slices; the outermost ones are repeated.
        """
        if up_mm:
            volume = self._raised(volume, up_mm)
        depth, height, width = self.shape
        return volume.reshape(depth, self.subslices, height, width).mean(axis=1, dtype=np.float32)

    def _raised(self, volume: NDArray[Any], up_mm: float) -> Volume:
        """The fine slices ``(D * subslices, H, W)`` of a head that lies higher."""
        last = len(self.z) - 1
        place = np.clip(np.arange(last + 1) - up_mm * self.subslices / self.spacing[0], 0, last)
        below = place.astype(int)
        share = (place - below).astype(np.float32)[:, None, None]
        return (1 - share) * volume[below] + share * volume[np.minimum(below + 1, last)]


def smooth_noise(rng: np.random.Generator, sigma_mm: float, grid: Grid) -> Volume:
    """Gaussian noise of mean 0 and variance 1, smooth over ``sigma_mm``.

    White noise on a lattice of pitch h, interpolated by cubic B-splines, is white noise smoothed by a kernel of
    standard deviation h / sqrt(3) (a cubic B-spline is four boxes folded); so h = sqrt(3) sigma and no filter runs.
    """
    pitch = np.sqrt(3.0) * sigma_mm
    counts = [int(np.ceil((high - low) / pitch)) + 3 for low, high in LATTICE_BOX]
    z, y, x = (
        _bspline((centres - low) / pitch, count)
        for centres, (low, _), count in zip((grid.z, grid.y, grid.x), LATTICE_BOX, counts, strict=True)
    )
    planes = np.flatnonzero(z.any(axis=0))
    values = _lattice(int(rng.integers(2**63)), planes, (counts[1], counts[2]))
    values = (z[:, planes] @ values.reshape(len(planes), -1)).reshape(-1, *values.shape[1:])
    return (y @ values) @ x.T


def either(where: NDArray[np.bool_], inside: float, outside: float) -> Volume:
    """One of two numbers, float32."""
    return np.where(where, np.float32(inside), np.float32(outside))


def logistic(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _lattice(key: int, planes: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """White noise on the planes of a lattice ``(len(planes), *shape)``, each with random numbers of its own.

    So a thin slab draws only the planes around it, and has the same noise as a thick one.
    """
    seeds = (np.random.SeedSequence(key, spawn_key=(int(plane),)) for plane in planes)
    drawn = [np.random.Generator(np.random.SFC64(seed)).standard_normal(shape, dtype=np.float32) for seed in seeds]
    return np.stack(drawn) / np.float32(BSPLINE_ENERGY**1.5)


def _bspline(position: FloatArray, count: int) -> NDArray[np.float32]:
    """Cubic B-spline weights ``(len(position), count)`` of lattice points at -1, 0, 1, ... (positions are inside)."""
    cell = np.clip(np.floor(position).astype(int), 0, count - 4)
    u = np.clip(position - cell, 0.0, 1.0)
    taps = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    weights = np.zeros((len(u), count), dtype=np.float32)
    weights[np.arange(len(u))[:, None], cell[:, None] + np.arange(4)] = np.stack(taps, axis=1) / 6
    return weights
