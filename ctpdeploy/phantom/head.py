"""The head: places in millimetres, tissues, Hounsfield units.

Coordinates are MNI-like millimetres, x to the patient's right, y to the front, z to the top. Measures that all
anatomies share follow the ICBM 152 brain.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.crop import Crop
from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise

__all__ = [
    "AIR_HU",
    "BRAIN_AXES",
    "BRAIN_CENTRE",
    "BRAIN_POWER",
    "TOP_Z",
    "Brain",
    "BrainVoxels",
    "Head",
    "Place",
    "Point",
    "ellipsoid",
]

Point = tuple[float, float, float]
Place = tuple[Volume, Volume, Volume]
"""x, y and z of every fine voxel in mm."""

BRAIN_AXES = (68.0, 86.0, 70.0)
BRAIN_CENTRE = (0.0, -17.0, 12.0)
BRAIN_POWER = 2.3
"""The superellipsoid |x / a|^p + |y / b|^p + |z / c|^p = 1 that a brain nearly fills, in mm."""

AIR_HU = -1000.0

TOP_Z = 92.0
"""The vertex of the skull in mm, beyond which no slab extends."""


@dataclass(frozen=True, kw_only=True)
class Brain:
    """A brain in its envelope. All arrays ``(D * subslices, H, W)``.

    Attributes:
        depth: mm below the surface of the brain, negative outside.
        grey, white, csf: the three tissues; no two overlap, their union is where ``depth > 0``, sulci and ventricles
            with it.
    """

    depth: Volume
    grey: NDArray[np.bool_]
    white: NDArray[np.bool_]
    csf: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Head(Brain):
    """A brain in its skull, on a grid. All arrays ``(D * subslices, H, W)``.

    Attributes:
        grid: the voxels.
        x, y, z: anatomical coordinates in mm.
        hu: baseline Hounsfield units, without vessels.
    """

    grid: Grid
    x: Volume
    y: Volume
    z: Volume
    hu: Volume

    def cropped(self, crop: Crop) -> "Head":
        """The same head on a part of its grid."""
        arrays = {name: crop.cut(value) for name, value in vars(self).items() if name != "grid"}
        return Head(grid=self.grid.cropped(crop.rows, crop.columns), **arrays)

    def brain_voxels(self) -> "BrainVoxels":
        """The part of it inside the brain's surface."""
        where = np.flatnonzero(self.depth > 0)
        parts = {name: getattr(self, name).ravel()[where] for name in ("x", "y", "z", "hu", "grey", "white", "csf")}
        return BrainVoxels(grid=self.grid, where=where, **parts)


@dataclass(frozen=True, kw_only=True)
class BrainVoxels:
    """The fine voxels inside a brain, one after another: a quarter of those around a whole head. Arrays ``(n,)``.

    Attributes:
        grid: of the head.
        where: they lie in its volumes ``(D * subslices, H, W)``, counted row by row.
        x, y, z, hu, grey, white, csf: of the head.
    """

    grid: Grid
    where: NDArray[np.intp]
    x: Volume
    y: Volume
    z: Volume
    hu: Volume
    grey: NDArray[np.bool_]
    white: NDArray[np.bool_]
    csf: NDArray[np.bool_]

    def noise(self, rng: np.random.Generator, sigma_mm: float) -> Volume:
        """:func:`smooth_noise` in them."""
        return self.of(smooth_noise(rng, sigma_mm, self.grid))

    def of(self, volume: NDArray[Any]) -> NDArray[Any]:
        """A volume's values in them."""
        return volume.ravel()[self.where]

    def volume(self, values: Volume) -> Volume:
        """A volume with these values in them, float32, and 0 elsewhere."""
        volume = np.zeros((len(self.grid.z), *self.grid.shape[1:]), dtype=np.float32)
        volume.ravel()[self.where] = values
        return volume


def ellipsoid(place: Place, centre: Point, axes: Point) -> Volume:
    """Radius in units of an ellipsoid's surface: 1 on it, less inside."""
    first, *others = (np.square((c - m) * np.float32(1 / a)) for c, m, a in zip(place, centre, axes, strict=True))
    for other in others:
        first += other
    return np.sqrt(first, out=first)
