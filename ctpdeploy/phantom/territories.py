"""Vascular territories as signed distances, and where clots sit.

A territory is the distance in mm to its border, positive inside. Then a union is the larger distance, an
intersection the smaller, and the rest of the brain the negative; collaterals, which enter at the border, need the
same number.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctpdeploy.phantom.fields import Volume
from ctpdeploy.phantom.head import BrainVoxels, ellipsoid

__all__ = ["SITES", "Site", "Territories", "make_territories", "occluded"]

Site = Literal["M1", "M2 superior", "M2 inferior", "M3", "ICA-T", "PCA", "ACA", "none"]

SITES: dict[Site, float] = {
    "M1": 0.28,
    "M2 superior": 0.16,
    "M2 inferior": 0.16,
    "M3": 0.27,
    "ICA-T": 0.04,
    "PCA": 0.05,
    "ACA": 0.04,
}
"""Probability of each site of occlusion, fitted to the volumes of Tmax > 6 s in ISLES 2018: without distal occlusions
small ones are missing. ``"none"``, a patient without a stroke, is never drawn."""

NOWHERE = -1000.0  # mm: outside by more than the head's size


@dataclass(frozen=True, kw_only=True)
class Territories:
    """Signed distances in mm to the borders of both sides' territories, in a brain's fine voxels ``(n,)``.

    Attributes:
        aca, mca, pca: the three cerebral arteries.
        superior: part of ``mca`` behind the superior M2 branch; the rest is the inferior one's.
        deep: end arteries of M1 to the basal ganglia.
    """

    aca: Volume
    mca: Volume
    pca: Volume
    superior: Volume
    deep: Volume


def make_territories(brain: BrainVoxels, rng: np.random.Generator) -> Territories:
    """Draw the borders: planes and cones that follow the usual maps, shifted by smooth noise."""
    right = abs(brain.x)
    u = right + 2.5 * brain.noise(rng, 12.0)
    y = brain.y + 4.0 * brain.noise(rng, 12.0)
    z = brain.z
    parting = 14 + 0.22 * np.clip(y, -40, 60) + 0.12 * np.clip(z - 20, 0, 40)
    aca = np.minimum(np.minimum(parting - u, y + 45), z + 8)
    occipital = -52 - 0.25 * (u - 35) - 0.25 * np.clip(z - 10, -30, 50) - y
    thalamus = 11 * (1 - ellipsoid((right, brain.y, z), (11, -19, 6), (10, 13, 12)))
    pca = np.maximum(occipital, thalamus)
    mca = np.minimum(-aca, -pca)
    basal = 14 * (1 - ellipsoid((right, brain.y, z), (25, 4, 4), (14, 24, 18)))
    superior = y + 8 + 0.3 * (z - 20)
    return Territories(aca=aca, mca=mca, pca=pca, superior=superior, deep=np.minimum(basal, mca))


def occluded(site: Site, territories: Territories) -> Volume:
    """Signed distance in mm to the border of what a clot at ``site`` cuts off, on both sides."""
    match site:
        case "M1":
            return territories.mca
        case "M2 superior":
            return np.minimum(territories.mca, territories.superior)
        case "M2 inferior":
            return np.minimum(territories.mca, -territories.superior)
        case "ICA-T":
            return np.maximum(territories.mca, territories.aca)
        case "PCA":
            return territories.pca
        case "ACA":
            return territories.aca
        case "M3":
            return territories.mca  # of which the stroke's branch is a part
        case "none":
            return np.full_like(territories.mca, NOWHERE)
