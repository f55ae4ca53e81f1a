"""Hounsfield units of a head before contrast: tissues, CSF rim, skull, scalp, neck.

The tissues follow the Erlangen digital CT perfusion phantom (grey 35, white 29, CSF 12).
"""

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise
from ctpdeploy.phantom.head import AIR_HU, BRAIN_AXES, BRAIN_CENTRE, BRAIN_POWER, Brain, Place

__all__ = ["baseline_hu"]

NECK_SECTION = 1.12  # of the brain's largest section
SPINE_Y, SPINE_RADIUS = -45.0, 18.0  # mm


def baseline_hu(brain: Brain, place: Place, grid: Grid, rng: np.random.Generator) -> Volume:
    """Hounsfield units of tissue, CSF rim, skull (two tables and diploe), fat and skin, neck, and air."""
    grey_hu, white_hu, csf_hu = rng.uniform(35, 38), rng.uniform(28, 30), rng.uniform(8, 12)
    skull, scalp = rng.uniform(5, 7.5), rng.uniform(4, 6)
    outside = -brain.depth - 1.5 - np.float32(0.5) * smooth_noise(rng, 20.0, grid)
    diploe: Volume = 650 + 150 * smooth_noise(rng, 3.0, grid)
    table = (outside < skull / 4) | (outside > skull * 3 / 4)
    layers = [
        (brain.grey, grey_hu),
        (brain.white, white_hu),
        (brain.csf | (outside < 0), csf_hu),
        ((outside < skull) & table, 1200.0),
        (outside < skull, diploe),
        (outside < skull + scalp - 2.0, -60.0),
        (outside < skull + scalp, 30.0),
        *_neck(*place),
    ]
    hu = np.full(brain.depth.shape, AIR_HU, dtype=np.float32)
    for where, value in reversed(layers):  # the first layer wins
        np.copyto(hu, np.asarray(value, dtype=np.float32), where=where)
    return hu + smooth_noise(rng, 10.0, grid) * (brain.depth > 0)


def _neck(x: Volume, y: Volume, z: Volume) -> list[tuple[NDArray[np.bool_], float]]:
    """Below its widest level the head does not taper with the brain: skull base, muscle, and the spine behind."""
    section = abs(x / BRAIN_AXES[0]) ** BRAIN_POWER + abs((y - BRAIN_CENTRE[1]) / BRAIN_AXES[1]) ** BRAIN_POWER
    below = z < BRAIN_CENTRE[2]
    spine = below & (x**2 + (y - SPINE_Y) ** 2 < SPINE_RADIUS**2)
    return [(spine, 600.0), (below & (section < NECK_SECTION**BRAIN_POWER), 45.0)]
