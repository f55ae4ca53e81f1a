"""A procedural head: superellipsoid brain, sulci from noise, ventricles and deep nuclei from ellipsoids, skull, scalp.

Coordinates are MNI-like millimetres, x to the patient's right, y to the front, z to the top; each patient has axes of
its own length, a turn of the head and a smooth warp. Measures follow the ICBM 152 brain; Hounsfield units follow the
Erlangen digital CT perfusion phantom (grey 35, white 29, CSF 12).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise

__all__ = ["CENTRE_Y", "TOP_Z", "Head", "Point", "ellipsoid", "make_head"]

Point = tuple[float, float, float]

CENTRE_Y = -17.0
TOP_Z = 92.0
"""Centre of the brain along y, and where no slab goes beyond along z: the vertex of the skull, in mm."""

BRAIN_AXES = (68.0, 86.0, 70.0)
BRAIN_CENTRE = (0.0, CENTRE_Y, 12.0)
BRAIN_POWER = 2.3
BRAIN_DEPTH = 75.0  # mm from the surface to the centre, on average over directions
WARP_SIGMA, WARP_MM = 25.0, 3.0
SULCUS_SIGMA = 6.5

NECK_SECTION = 1.12  # of the brain's largest section
SPINE_Y, SPINE_RADIUS = -45.0, 18.0  # mm

DEEP_GREY = (((13, 14, 4), (5, 12, 14)), ((25, 4, -2), (7, 16, 13)), ((11, -14, 2), (8.5, 13, 10)))
"""Caudate, lentiform nucleus, thalamus: centre and half axes in mm, right side."""

VENTRICLES = (((8, 18, 10), (4.5, 20, 11)), ((14, -8, 12), (4.5, 22, 9)), ((24, -38, 2), (5, 16, 9)))
"""Frontal horn, body, occipital horn: centre and half axes in mm, right side."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where every fine voxel lies, and what it is made of. All arrays ``(D * subslices, H, W)``.

    Attributes:
        grid: the voxels.
        x, y, z: anatomical coordinates in mm.
        depth: mm below the surface of the brain, negative outside.
        grey, white, csf: the three tissues; their union is the brain with its sulci and ventricles.
        hu: baseline Hounsfield units, without vessels.
    """

    grid: Grid
    x: Volume
    y: Volume
    z: Volume
    depth: Volume
    grey: NDArray[np.bool_]
    white: NDArray[np.bool_]
    csf: NDArray[np.bool_]
    hu: Volume


def make_head(grid: Grid, rng: np.random.Generator) -> Head:
    """Draw a head on a grid."""
    x, y, z = _coordinates(grid, rng)
    depth = _depth(x, y, z)
    csf, cortex = _sulci(x, y, z, depth, grid, rng)
    ventricle_scale = rng.uniform(0.85, 1.3)
    for centre, axes in VENTRICLES:
        csf |= ellipsoid((abs(x), y, z), centre, axes) < ventricle_scale
    brain = depth > 0
    csf &= brain
    grey = cortex & brain
    for centre, axes in DEEP_GREY:
        grey |= ellipsoid((abs(x), y, z), centre, axes) < 1.0
    grey &= ~csf
    white = brain & ~csf & ~grey
    hu = _baseline((x, y, z), depth, grey, white, csf, grid, rng)
    return Head(grid=grid, x=x, y=y, z=z, depth=depth, grey=grey, white=white, csf=csf, hu=hu)


def ellipsoid(place: tuple[Volume, Volume, Volume], centre: Point, axes: Point) -> Volume:
    """Radius in units of an ellipsoid's surface: 1 on it, less inside."""
    return np.sqrt(sum(((c - m) / a) ** 2 for c, m, a in zip(place, centre, axes, strict=True)))


def _depth(x: Volume, y: Volume, z: Volume) -> Volume:
    """Mm below the surface of a superellipsoid, on average over directions."""
    scaled = [abs((c - m) / a) for c, m, a in zip((x, y, z), BRAIN_CENTRE, BRAIN_AXES, strict=True)]
    radius = np.sum([r**BRAIN_POWER for r in scaled], axis=0) ** (1.0 / BRAIN_POWER)
    return np.asarray((1.0 - radius) * BRAIN_DEPTH, dtype=np.float32)


def _coordinates(grid: Grid, rng: np.random.Generator) -> tuple[Volume, Volume, Volume]:
    """Scanner to anatomical coordinates: a turn about z, a shift, axis scales of ±5 % and a smooth warp."""
    turn, shift = np.radians(rng.uniform(-6, 6)), rng.uniform(-3, 3, size=2)
    scales = rng.uniform(0.95, 1.05, size=3)
    warps = [WARP_MM * smooth_noise(rng, WARP_SIGMA, grid) for _ in range(3)]
    z, y, x = (axis.astype(np.float32) for axis in np.meshgrid(grid.z, grid.y, grid.x, indexing="ij", sparse=True))
    x, y = x - np.float32(shift[0]), y - np.float32(CENTRE_Y + shift[1])
    turned = (np.cos(turn) * x + np.sin(turn) * y, CENTRE_Y - np.sin(turn) * x + np.cos(turn) * y, z)
    x, y, z = ((axis + warp) / s for axis, warp, s in zip(turned, warps, scales, strict=True))
    return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)


def _sulci(
    x: Volume, y: Volume, z: Volume, depth: Volume, grid: Grid, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Sulcal CSF with the fissures, and the cortex along it.

    Sulci are where one of two noise fields is near 0, narrower the deeper; the cortex is the next band of the field,
    about 3 mm wide as the field's mean gradient is 1.1 / sigma.
    """
    first, second = (abs(smooth_noise(rng, SULCUS_SIGMA, grid)) for _ in range(2))
    field = np.minimum(first, np.float32(1.1) * second)
    opening = np.float32(0.16) * np.clip(1 - depth / 22, 0, None)
    csf = (field < opening) | (depth < 1.2)
    csf |= (abs(x) < 1.1) & ((depth < 34) | (abs(y) > 45))
    sylvian = 36 + 0.25 * np.hypot(y - 8, 8)
    csf |= (abs(abs(x) - sylvian) < 1.6) & (y > -18) & (y < 32) & (z < 12)
    cortex = (field < opening + 0.42 * np.clip((32 - depth) / 10, 0, 1)) & (depth < 32) | (depth < 4.4)
    return csf, cortex | ((abs(x) < 4.2) & (depth < 30))


def _neck(x: Volume, y: Volume, z: Volume) -> list[tuple[NDArray[np.bool_], float]]:
    """Below its widest level the head does not taper with the brain: skull base, muscle, and the spine behind."""
    section = (abs(x / BRAIN_AXES[0]) ** BRAIN_POWER + abs((y - CENTRE_Y) / BRAIN_AXES[1]) ** BRAIN_POWER) ** (
        1.0 / BRAIN_POWER
    )
    below = z < BRAIN_CENTRE[2]
    spine = below & (np.hypot(x, y - SPINE_Y) < SPINE_RADIUS)
    return [(spine, 600.0), (below & (section < NECK_SECTION), 45.0)]


def _baseline(
    place: tuple[Volume, Volume, Volume],
    depth: Volume,
    grey: NDArray[np.bool_],
    white: NDArray[np.bool_],
    csf: NDArray[np.bool_],
    grid: Grid,
    rng: np.random.Generator,
) -> Volume:
    """Hounsfield units of tissue, CSF rim, skull (two tables and diploe), fat and skin, neck, and air."""
    grey_hu, white_hu, csf_hu = rng.uniform(35, 38), rng.uniform(28, 30), rng.uniform(8, 12)
    skull, scalp = rng.uniform(5, 7.5), rng.uniform(4, 6)
    outside = -depth - 1.5 - np.float32(0.5) * smooth_noise(rng, 20.0, grid)
    diploe = 650 + 150 * smooth_noise(rng, 3.0, grid)
    table = (outside < skull / 4) | (outside > skull * 3 / 4)
    layers = [
        (grey, grey_hu),
        (white, white_hu),
        (csf | (outside < 0), csf_hu),
        ((outside < skull) & table, 1200.0),
        (outside < skull, diploe),
        (outside < skull + scalp - 2.0, -60.0),
        (outside < skull + scalp, 30.0),
        *_neck(*place),
    ]
    values = [np.asarray(value, dtype=np.float32) for _, value in layers]
    hu = np.select([where for where, _ in layers], values, np.float32(-1000.0))
    return hu + smooth_noise(rng, 10.0, grid) * (depth > 0)
