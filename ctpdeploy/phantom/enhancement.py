"""From tissue and vessels to the series of an ideal scanner.

Hounsfield units add up, so a voxel's enhancement is a weighted sum of the bolus's table of curves: few weights a fine
voxel, all its slice's fine voxels in one sparse row, and one product with the table gives the series.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ctpdeploy.phantom.bolus import Bolus, artery_rows, tissue_rows
from ctpdeploy.phantom.fields import Grid, Volume
from ctpdeploy.phantom.head import Head
from ctpdeploy.phantom.ischaemia import Tissue
from ctpdeploy.phantom.stroke import Stroke
from ctpdeploy.phantom.territories import Site
from ctpdeploy.phantom.vessels import pial_fraction, tubes
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["ideal_series"]

BLOOD_HU = 45.0
SKULL_MM, SOFT_HU = 5.0, (-200.0, 300.0)
"""Scalp and neck are what is at least so deep in the skull, from the brain, and neither air nor bone."""

PSF_SIGMA = 0.425
"""Point spread function in pixels: a full width at half maximum of 1 pixel."""

LATE_DELAY, LATE_AMPLITUDE, LATE_TAU = (4.0, 7.0), (0.35, 0.7), (2.0, 4.0)
BEHIND: dict[Site, tuple[str, ...]] = {
    "M1": ("M1", "M2 superior", "M2 inferior"),
    "M2 superior": ("M2 superior",),
    "M2 inferior": ("M2 inferior",),
    "ICA-T": ("ICA", "M1", "M2 superior", "M2 inferior", "A2"),
    "PCA": ("P2",),
    "ACA": ("A2",),
}
"""Vessels that a clot leaves to late, weak and dispersed filling through collaterals; of an M3 none is drawn."""


class _Mixture:
    """Weights of curves in voxels, gathered as triplets (voxel, curve, weight)."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.triplets: list[tuple[NDArray[Any], ...]] = []

    def add(self, fine: NDArray[np.int64], curves: NDArray[np.int32] | int, weights: Volume) -> None:
        """Add ``curves`` with ``weights`` ``([k,] N)`` to fine voxels ``(N,)``."""
        _, height, width = self.grid.shape
        slices, pixels = np.divmod(fine, height * width)
        voxels = slices // self.grid.subslices * (height * width) + pixels
        self.triplets.append(tuple(np.broadcast_to(part, weights.shape).ravel() for part in (voxels, curves, weights)))

    def of(self, curves: NDArray[np.float32]) -> Volume:
        """The series ``(T, D, H, W)`` that curves ``(n, T)`` give."""
        voxels, rows, weights = (np.concatenate(parts) for parts in zip(*self.triplets, strict=True))
        shape = (int(np.prod(self.grid.shape)), len(curves))
        shares = sparse.coo_array((weights / np.float32(self.grid.subslices), (voxels, rows)), shape=shape)
        return np.ascontiguousarray((shares.tocsr() @ curves).T).reshape(-1, *self.grid.shape)


def ideal_series(
    head: Head, tissue: Tissue, stroke: Stroke, bolus: Bolus, times: FloatArray, rng: np.random.Generator
) -> tuple[Volume, Volume]:
    """The head before contrast ``(D, H, W)`` and its series ``(T, D, H, W)``, both in HU, blurred, free of noise."""
    table = bolus.table()
    late = rng.uniform(*LATE_AMPLITUDE) * bolus.late(rng.uniform(*LATE_DELAY), rng.uniform(*LATE_TAU))
    curves = bolus.at(np.concatenate([table, [bolus.vof(), late, bolus.aif(), bolus.leaked()]]), times)
    venous, collateral, arterial, leaked = range(len(table), len(curves))
    mixture, blood = _Mixture(head.grid), np.zeros(head.hu.size, dtype=np.float32)
    for vessel, side, fine, share in tubes(head, rng):
        cut_off = side == stroke.side and vessel.name in BEHIND.get(stroke.site, ())
        share = np.minimum(share, 1 - blood[fine])  # where tubes meet
        blood[fine] += share
        mixture.add(fine, venous if vessel.vein else collateral if cut_off else arterial, share)
    pial = np.minimum(pial_fraction(head, rng).ravel(), 1 - blood)
    small = np.flatnonzero(pial > 0)
    rows, weights = artery_rows(_pial_delay(tissue)[small])
    mixture.add(small, rows, weights * pial[small])
    blood += pial
    soft = np.flatnonzero((head.depth < -SKULL_MM) & (head.hu > SOFT_HU[0]) & (head.hu < SOFT_HU[1]))
    mixture.add(soft, leaked, np.ones(len(soft), dtype=np.float32))
    living = np.flatnonzero(tissue.cbf > 0)
    rows, weights = tissue_rows(tissue.mtt.ravel()[living], tissue.delay.ravel()[living])
    mixture.add(living, rows, weights * tissue.cbf.ravel()[living] * (1 - blood[living]))
    share = blood.reshape(head.hu.shape)
    baseline = _blurred(head.grid.average((head.hu + tissue.hu) * (1 - share) + BLOOD_HU * share))
    return baseline, baseline + _blurred(mixture.of(curves))


def _pial_delay(tissue: Tissue) -> NDArray[np.float32]:
    """Delay in s of the surface's small arteries: that of the tissue around, in a box of 7 fine voxels."""
    known = (tissue.cbf > 0).astype(np.float32)
    around = [ndimage.uniform_filter(volume, (0, 7, 7)) for volume in (tissue.delay, known)]
    return np.divide(around[0], around[1], out=np.zeros_like(known), where=around[1] > 0.01).ravel()


def _blurred(volume: Volume) -> Volume:
    """The point spread function, applied in the plane."""
    widths = (0.0,) * (volume.ndim - 2) + (PSF_SIGMA, PSF_SIGMA)
    return ndimage.gaussian_filter(volume, widths)
