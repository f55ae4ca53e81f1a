"""A brain of formulas: superellipsoid, sulci from noise, ventricles and deep nuclei from ellipsoids."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise
from ctpdeploy.phantom.head import BRAIN_AXES, BRAIN_CENTRE, BRAIN_POWER, Brain, Place, ellipsoid

__all__ = ["procedural_brain"]

BRAIN_DEPTH = 75.0  # mm from the surface to the centre, on average over directions
SULCUS_SIGMA = 6.5

DEEP_GREY = (((13, 14, 4), (5, 12, 14)), ((25, 4, -2), (7, 16, 13)), ((11, -14, 2), (8.5, 13, 10)))
"""Caudate, lentiform nucleus, thalamus: centre and half axes in mm, right side."""

VENTRICLES = (((8, 18, 10), (4.5, 20, 11)), ((14, -8, 12), (4.5, 22, 9)), ((24, -38, 2), (5, 16, 9)))
"""Frontal horn, body, occipital horn: centre and half axes in mm, right side."""


def procedural_brain(place: Place, grid: Grid, rng: np.random.Generator) -> Brain:
    """Draw a brain: new sulci for every patient, and no data behind it."""
    depth = _depth(place)
    where = np.flatnonzero(depth > 0)
    x, y, z, inner_depth = (volume.ravel()[where] for volume in (*place, depth))
    fields = [smooth_noise(rng, SULCUS_SIGMA, grid).ravel()[where] for _ in range(2)]
    csf, cortex = _sulci((x, y, z), inner_depth, fields)
    right = (abs(x), y, z)
    ventricle_scale = rng.uniform(0.85, 1.3)
    for centre, axes in VENTRICLES:
        csf |= ellipsoid(right, centre, axes) < ventricle_scale
    grey = cortex
    for centre, axes in DEEP_GREY:
        grey |= ellipsoid(right, centre, axes) < 1.0
    grey &= ~csf
    tissues = np.zeros((3, *depth.shape), dtype=bool)
    tissues.reshape(3, -1)[:, where] = grey, ~csf & ~grey, csf
    return Brain(depth=depth, grey=tissues[0], white=tissues[1], csf=tissues[2])


def _depth(place: Place) -> Volume:
    """Mm below the surface of a superellipsoid, on average over directions."""
    radius = sum(abs((c - m) / a) ** BRAIN_POWER for c, m, a in zip(place, BRAIN_CENTRE, BRAIN_AXES, strict=True))
    return np.asarray((1.0 - radius ** (1.0 / BRAIN_POWER)) * BRAIN_DEPTH, dtype=np.float32)


def _sulci(place: Place, depth: Volume, fields: Sequence[Volume]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Sulcal CSF with the fissures, and the cortex along it.

    Sulci are where one of two noise fields is near 0, narrower the deeper; the cortex is the next band of the field,
    about 3 mm wide as the field's mean gradient is 1.1 / sigma.
    """
    x, y, z = place
    field = np.minimum(abs(fields[0]), np.float32(1.1) * abs(fields[1]))
    opening = np.float32(0.16) * np.clip(1 - depth / 22, 0, None)
    csf = (field < opening) | (depth < 1.2)
    csf |= (abs(x) < 1.1) & ((depth < 34) | (abs(y) > 45))
    sylvian = 36 + 0.25 * np.sqrt((y - 8) ** 2 + 64)
    csf |= (abs(abs(x) - sylvian) < 1.6) & (y > -18) & (y < 32) & (z < 12)
    cortex = (field < opening + 0.42 * np.clip((32 - depth) / 10, 0, 1)) & (depth < 32) | (depth < 4.4)
    return csf, cortex | ((abs(x) < 4.2) & (depth < 30))
