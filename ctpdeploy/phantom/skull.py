"""Hounsfield units of a head before contrast: tissues, CSF rim, skull, scalp, neck.

The tissues follow the Erlangen digital CT perfusion phantom (grey 35, white 29, CSF 12).
"""

import numpy as np

from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise
from ctpdeploy.phantom.head import AIR_HU, BRAIN_AXES, BRAIN_CENTRE, BRAIN_POWER, Brain, Place

__all__ = ["baseline_hu"]

NECK_SECTION = 1.12  # of the brain's largest section
DIPLOE = 2
"""Layers outside the brain are CSF, a table of the skull, diploe, the other table, fat, and skin."""

UNEVEN_MM = 2.5
"""Most that skull and scalp are pushed outwards: half of five standard deviations of a field."""

SPINE_Y, SPINE_RADIUS = -45.0, 18.0  # mm


def baseline_hu(brain: Brain, place: Place, grid: Grid, rng: np.random.Generator) -> Volume:
    """Hounsfield units of tissue, CSF rim, skull (two tables and diploe), fat and skin, neck, and air."""
    grey_hu, white_hu, csf_hu = rng.uniform(35, 38), rng.uniform(28, 30), rng.uniform(8, 12)
    skull, scalp = rng.uniform(5, 7.5), rng.uniform(4, 6)
    unevenness, marrow, texture = (smooth_noise(rng, sigma, grid).ravel() for sigma in (20.0, 3.0, 10.0))
    hu = _neck(*place)
    voxels, depth = hu.ravel(), brain.depth.ravel()
    ends = (0.0, skull / 4, skull * 3 / 4, skull, skull + scalp - 2.0, skull + scalp)
    values = np.array([csf_hu, 1200.0, 650.0, 1200.0, -60.0, 30.0], dtype=np.float32)
    shell = np.flatnonzero((depth <= 0) & (depth > -(ends[-1] + 1.5 + UNEVEN_MM)))
    outside = -depth[shell] - 1.5 - np.float32(0.5) * unevenness[shell]
    shell, outside = (part[outside < ends[-1]] for part in (shell, outside))
    layer = sum((outside >= end).view(np.uint8) for end in ends[:-1])
    voxels[shell] = values[layer] + 150 * marrow[shell] * (layer == DIPLOE)
    inside = np.flatnonzero(depth > 0)
    kind = brain.white.ravel()[inside] + np.uint8(2) * brain.csf.ravel()[inside]
    voxels[inside] = np.array([grey_hu, white_hu, csf_hu], dtype=np.float32)[kind] + texture[inside]
    return hu


def _neck(x: Volume, y: Volume, z: Volume) -> Volume:
    """Air, and below its widest level what does not taper with the brain: skull base, muscle, and the spine behind."""
    hu = np.full(x.shape, AIR_HU, dtype=np.float32)
    low = np.flatnonzero((z < BRAIN_CENTRE[2]).any(axis=(1, 2)))
    x, y, below = x[low], y[low], z[low] < BRAIN_CENTRE[2]
    section = abs(x / BRAIN_AXES[0]) ** BRAIN_POWER + abs((y - BRAIN_CENTRE[1]) / BRAIN_AXES[1]) ** BRAIN_POWER
    spine = x**2 + (y - SPINE_Y) ** 2 < SPINE_RADIUS**2
    neck = np.where(section < NECK_SECTION**BRAIN_POWER, np.float32(45.0), np.float32(AIR_HU))
    hu[low] = np.where(below, np.where(spine, np.float32(600.0), neck), np.float32(AIR_HU))
    return hu
