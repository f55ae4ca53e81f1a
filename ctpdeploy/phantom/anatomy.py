"""The head of a patient: a brain from one of the anatomies, in coordinates of its own, with skull and scalp.

Each patient has axes of its own length, a turn of the head and a smooth warp.
"""

from collections.abc import Callable

import numpy as np

from ctpdeploy.errors import UnknownKeyError
from ctpdeploy.optional import require
from ctpdeploy.phantom.fields import Grid, smooth_noise
from ctpdeploy.phantom.head import BRAIN_CENTRE, Brain, Head, Place
from ctpdeploy.phantom.mni import mni_brain
from ctpdeploy.phantom.procedural import procedural_brain
from ctpdeploy.phantom.skull import baseline_hu

__all__ = ["ANATOMIES", "check_anatomy", "make_head"]

ANATOMIES: dict[str, Callable[[Place, Grid, np.random.Generator], Brain]] = {
    "procedural": procedural_brain,
    "mni": mni_brain,
}
"""From places to the brain that lies there, by name."""

PACKAGES = {"mni": "nilearn"}
"""Package that an anatomy needs; its extra has the anatomy's name."""

WARP_SIGMA, WARP_MM = 25.0, 3.0

BRAIN_SCALE, SCALE_SPREAD = 0.90, 0.05
"""Of the anatomies' axes, which are longer than most brains' as MNI space is: scaled, a brain with its fluid takes up
1.3 l (intracranial volume of adults 1385 +- 135 ml, brain 1201 +- 143 ml, doi:10.1007/s00276-010-0650-4)."""


def check_anatomy(name: str) -> None:
    """See that an anatomy can be had, before anything is made with it.

    Raises:
        UnknownKeyError: there is none of this name.
        MissingPackageError: its package is not installed.
    """
    if name not in ANATOMIES:
        raise UnknownKeyError(name, ANATOMIES, "the phantom's anatomies")
    if name in PACKAGES:
        require(PACKAGES[name], extra=name)


def make_head(grid: Grid, rng: np.random.Generator, anatomy: str) -> Head:
    """Draw a head on a grid."""
    place = _coordinates(grid, rng)
    brain = ANATOMIES[anatomy](place, grid, rng)
    x, y, z = place
    return Head(grid=grid, x=x, y=y, z=z, hu=baseline_hu(brain, place, grid, rng), **vars(brain))


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
