"""The head of a patient: a brain from one of the anatomies, in coordinates of its own, with skull and scalp.

Each patient has axes of its own length, a turn of the head and a smooth warp.
"""

from collections.abc import Callable

import numpy as np

from ctpdeploy.phantom.crop import Crop
from ctpdeploy.phantom.fields import Grid, smooth_noise
from ctpdeploy.phantom.head import AIR_HU, BRAIN_AXES, BRAIN_CENTRE, Brain, Head, Place
from ctpdeploy.phantom.mni import mni_brain
from ctpdeploy.phantom.procedural import procedural_brain
from ctpdeploy.phantom.skull import baseline_hu

__all__ = ["ANATOMIES", "make_head"]

ANATOMIES: dict[str, Callable[[Place, Grid, np.random.Generator], Brain]] = {
    "procedural": procedural_brain,
    "mni": mni_brain,
}
"""From places to the brain that lies there, by name."""

WARP_SIGMA, WARP_MM = 25.0, 3.0

HEAD_SCALE = 1.25
"""Of the brain's axes: beyond lies air, whatever a patient's skull and scalp."""

BRAIN_SCALE, SCALE_SPREAD = 0.90, 0.05
"""Of the anatomies' axes, which are longer than most brains' as MNI space is: scaled, a brain with its fluid takes up
1.3 l (intracranial volume of adults 1385 +- 135 ml, brain 1201 +- 143 ml, doi:10.1007/s00276-010-0650-4)."""


def make_head(grid: Grid, rng: np.random.Generator, anatomy: str) -> tuple[Head, Crop]:
    """Draw a head, on the part of the grid that holds it."""
    x, y, z = _coordinates(grid, rng)
    (middle_x, middle_y, _), (half_x, half_y, _) = BRAIN_CENTRE, BRAIN_AXES
    around = Crop.around((abs(x - middle_x) < HEAD_SCALE * half_x) & (abs(y - middle_y) < HEAD_SCALE * half_y))
    x, y, z = place = around.cut(x), around.cut(y), around.cut(z)
    grid = grid.cropped(around.rows, around.columns)
    brain = ANATOMIES[anatomy](place, grid, rng)
    head = Head(grid=grid, x=x, y=y, z=z, hu=baseline_hu(brain, place, grid, rng), **vars(brain))
    close = Crop.around(head.hu > AIR_HU)
    return head.cropped(close), close.within(around)


def _coordinates(grid: Grid, rng: np.random.Generator) -> Place:
    """Scanner to anatomical coordinates: a turn about z, a shift, axes of a length of their own and a smooth warp."""
    centre_y = BRAIN_CENTRE[1]
    turn, shift = np.radians(rng.uniform(-6, 6)), rng.uniform(-3, 3, size=2)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    scales = (BRAIN_SCALE * rng.uniform(1 - SCALE_SPREAD, 1 + SCALE_SPREAD, size=3)).astype(np.float32)
    warps = [WARP_MM * smooth_noise(rng, WARP_SIGMA, grid) for _ in range(3)]
    z, y, x = (axis.astype(np.float32) for axis in np.meshgrid(grid.z, grid.y, grid.x, indexing="ij", sparse=True))
    x, y = x - np.float32(shift[0]), y - np.float32(centre_y + shift[1])
    turned = (cos * x + sin * y, centre_y - sin * x + cos * y, z)
    x, y, z = ((axis + warp) / s for axis, warp, s in zip(turned, warps, scales, strict=True))
    return x, y, z
