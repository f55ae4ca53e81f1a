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
    (z, planes), (y, rows), (x, columns) = (
        _bspline((centres - low) / pitch, count)
        for centres, (low, _), count in zip((grid.z, grid.y, grid.x), LATTICE_BOX, counts, strict=True)
    )
    values = _lattice(int(rng.integers(2**63)), planes, (rows.stop, counts[2]))[:, rows, columns]
    if len(z) < z.shape[1]:  # the shorter way
        return (y @ np.tensordot(z, values, 1)) @ x.T
    return np.tensordot(z, (y @ values) @ x.T, 1)


def either(where: NDArray[np.bool_], inside: float, outside: float) -> Volume:
    """One of two numbers, float32."""
    return np.float32(outside) + np.float32(inside - outside) * where


def logistic(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _lattice(key: int, planes: slice, shape: tuple[int, int]) -> NDArray[np.float32]:
    """White noise on the planes of a lattice ``(len(planes), *shape)``, each with random numbers of its own.

    So a thin slab draws only the planes around it, and has the same noise as a thick one.
    """
    drawn = np.empty((planes.stop - planes.start, *shape), dtype=np.float32)
    for values, plane in zip(drawn, range(planes.start, planes.stop), strict=True):
        seed = np.random.SeedSequence(key, spawn_key=(plane,))
        np.random.Generator(np.random.SFC64(seed)).standard_normal(out=values, dtype=np.float32)
    drawn /= np.float32(BSPLINE_ENERGY**1.5)
    return drawn


def _bspline(position: FloatArray, count: int) -> tuple[NDArray[np.float32], slice]:
    """Cubic B-spline weights ``(len(position), n)`` of ``count`` lattice points at -1, 0, 1, ..., and the n that count.

    At a distance d from a point, ((2 - d)+^3 - 4 (1 - d)+^3) / 6. Positions ascend, and are inside.
    """
    position = np.clip(position, 0.0, count - 3.001)
    points = slice(int(position[0]), int(position[-1]) + 4)
    distance = abs(position[:, None] + 1 - np.arange(points.start, points.stop)).astype(np.float32)
    outer, inner = (np.clip(end - distance, 0, None) for end in (np.float32(2), np.float32(1)))
    return (outer**3 - 4 * inner**3) / np.float32(6), points
