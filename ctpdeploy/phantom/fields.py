"""The voxel grid in millimetres, and smooth random fields that do not depend on it.

Everything in a patient is a function of place. The same seed therefore gives the same head at every grid size: a
field draws its numbers on a lattice in millimetres, and only then is evaluated at the voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Grid", "Volume", "either", "logistic", "smooth_noise"]

Volume = NDArray[np.floating[Any]]
"""One number a voxel: float32, fine ``(D * subslices, H, W)`` or averaged ``(D, H, W)``."""

LATTICE_BOX = ((-95.0, 115.0), (-142.0, 108.0), (-108.0, 108.0))
"""z, y and x of the largest head, however it is turned, in mm; fields are constant beyond."""

BSPLINE_ENERGY = 151.0 / 315.0
"""Integral of the squared cubic B-spline: the variance that one axis of the lattice keeps."""

NORMAL = special.ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
"""Quantiles of the normal distribution: two random bytes choose one."""


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
    axes = zip((grid.z, grid.y, grid.x), LATTICE_BOX, strict=True)
    positions = [(centres - low) / pitch for centres, (low, _) in axes]
    (z, planes), (y, rows), (x, columns) = _bsplines(positions, counts)
    values = _lattice(int(rng.integers(2**63)), planes, (counts[1], counts[2]))[:, rows, columns]
    if len(z) < z.shape[1]:  # the shorter way
        return (y @ (z @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])) @ x.T
    in_planes = (y @ values) @ x.T
    return (z @ in_planes.reshape(len(in_planes), -1)).reshape(-1, *in_planes.shape[1:])


def either(where: NDArray[np.bool_], inside: float, outside: float) -> Volume:
    """One of two numbers, float32."""
    return np.float32(outside) + np.float32(inside - outside) * where


def logistic(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _lattice(key: int, planes: slice, shape: tuple[int, int]) -> NDArray[np.float32]:
    """White noise on the planes of a lattice ``(len(planes), *shape)``.

    The source jumps to the first plane: a thin slab draws only the planes around it, and has the same noise as a thick
    one.
    """
    count, points = planes.stop - planes.start, int(np.prod(shape))
    words = -(-points // 4)
    source = np.random.PCG64(key).advance(planes.start * words)
    drawn = source.random_raw(count * words).view(np.uint16).reshape(count, -1)[:, :points]
    return NORMAL.take(drawn).reshape(count, *shape) / np.float32(BSPLINE_ENERGY**1.5)


def _bsplines(positions: Sequence[FloatArray], counts: Sequence[int]) -> list[tuple[NDArray[np.float32], slice]]:
    """Cubic B-spline weights ``(len(position), n)`` along each axis, and the n lattice points that count.

    A share u of the way from one point to the next, the four around weigh (1 - u)^3, 4 - 6 u^2 + 3 u^3, the same of
    1 - u, and u^3, all over 6.

    Args:
        positions: along each axis, in units of the pitch, ascending; those outside have the border's value.
        counts: of lattice points at -1, 0, 1, ... along each axis.
    """
    sizes = [len(position) for position in positions]
    position = np.clip(np.concatenate(positions), 0.0, np.repeat(counts, sizes) - 3.001)
    first = position.astype(np.intp)
    u = (position - first).astype(np.float32)
    outer, inner, last = (1 - u) ** 3 / 6, (4 + u * u * (3 * u - 6)) / 6, u**3 / 6
    four = np.stack([outer, inner, 1 - outer - inner - last, last], axis=1)
    weights, start = [], 0
    for size in sizes:
        here = slice(start, start + size)
        points = slice(int(first[start]), int(first[start + size - 1]) + 4)
        of_axis = np.zeros((size, points.stop - points.start), dtype=np.float32)
        of_axis[np.arange(size)[:, None], first[here, None] - points.start + np.arange(4)] = four[here]
        weights.append((of_axis, points))
        start += size
    return weights
