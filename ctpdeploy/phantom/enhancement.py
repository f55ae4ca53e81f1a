"""From tissue and vessels to the series of an ideal scanner.

Hounsfield units add up, so a voxel's enhancement is a weighted sum of the bolus's table of curves. These have few
principal components: fine voxels add up in their weights, which are blurred, and one product gives the series.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ctpdeploy.phantom.bolus import DELAYS, Bolus, artery_rows, tissue_rows
from ctpdeploy.phantom.fields import Grid, Volume
from ctpdeploy.phantom.head import Head
from ctpdeploy.phantom.ischaemia import Tissue
from ctpdeploy.phantom.stroke import Stroke
from ctpdeploy.phantom.territories import Site
from ctpdeploy.phantom.vessels import pial_fraction, tubes
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["IdealSeries", "ideal_series"]

BLOOD_HU = 45.0
SKULL_MM, SOFT_HU = 5.0, (-200.0, 300.0)
"""Scalp and neck are what is at least so deep in the skull, from the brain, and neither air nor bone."""

PSF_SIGMA = 0.425
"""Point spread function in pixels: a full width at half maximum of 1 pixel."""

BASIS, USUAL_FLOW = 24, 60.0
OTHERS = 4
"""Curves after the table's: venous, collateral, arterial and leaked."""

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


@dataclass(frozen=True, kw_only=True)
class IdealSeries:
    """A series without noise, as a few curves and their weights in every voxel.

    Attributes:
        baseline: the head before contrast ``(D, H, W)`` in HU.
        weights: ``(r, D, H, W)``.
        curves: ``(r, T)``, orthonormal, such that weights by curves are HU above the baseline.
    """

    baseline: Volume
    weights: Volume
    curves: NDArray[np.float32]

    def frames(self, blend: NDArray[np.float32] | None = None) -> Volume:
        """The series ``(T, D, H, W)``; ``blend`` ``(T', T)`` makes other frames of these, as interpolation does."""
        curves = self.curves if blend is None else self.curves @ blend.T
        with_baseline = np.concatenate([curves, np.ones((1, curves.shape[1]), dtype=np.float32)])
        weights = np.concatenate([self.weights, self.baseline[None]]).reshape(len(with_baseline), -1)
        return (with_baseline.T @ weights).reshape(-1, *self.baseline.shape)


class _Mixture:
    """Weights of a basis in the series' voxels, to which fine voxels add curves."""

    def __init__(self, grid: Grid, coefficients: NDArray[np.float32]) -> None:
        self.grid = grid
        self.coefficients = coefficients
        depth, height, width = grid.shape
        self.weights = np.zeros((depth * height * width, coefficients.shape[1]), dtype=np.float32)

    def add(self, fine: NDArray[np.int64], curves: NDArray[np.int32] | int, weights: Volume) -> None:
        """Add ``curves`` with ``weights`` ``([k,] N)`` to fine voxels ``(N,)``, ascending."""
        _, height, width = self.grid.shape
        slices, pixels = np.divmod(fine, height * width)
        voxels = slices // self.grid.subslices * (height * width) + pixels
        rows = np.atleast_2d(np.broadcast_to(curves, weights.shape))
        count, shape = len(rows), (len(fine), len(self.coefficients))
        parts = (weights.reshape(rows.shape).T.ravel(), rows.T.ravel(), np.arange(0, rows.size + 1, count))
        added = sparse.csr_array(parts, shape=shape) @ self.coefficients
        places = slices % self.grid.subslices
        for place in range(self.grid.subslices):  # within one of them no voxel comes twice
            here = places == place
            self.weights[voxels[here]] += added[here]

    @property
    def volume(self) -> Volume:
        """The weights ``(r, D, H, W)``."""
        return np.ascontiguousarray(self.weights.T).reshape(-1, *self.grid.shape) / np.float32(self.grid.subslices)


def ideal_series(
    head: Head, tissue: Tissue, stroke: Stroke, bolus: Bolus, times: FloatArray, rng: np.random.Generator
) -> IdealSeries:
    """The head's series at ``times`` ``(T,)`` in s, blurred, free of noise."""
    table = bolus.table()
    late = rng.uniform(*LATE_AMPLITUDE) * bolus.late(rng.uniform(*LATE_DELAY), rng.uniform(*LATE_TAU))
    curves = bolus.at(np.concatenate([table, [bolus.vof(), late, bolus.aif(), bolus.leaked()]]), times)
    venous, collateral, arterial, leaked = range(len(table), len(curves))
    basis = _basis(curves)
    mixture, blood = _Mixture(head.grid, curves @ basis.T), np.zeros(head.hu.size, dtype=np.float32)
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
    mixture.add(living, rows, weights * (tissue.cbf.ravel()[living] * (1 - blood[living])))
    share = blood.reshape(head.hu.shape)
    baseline = head.grid.average((head.hu + tissue.hu) * (1 - share) + BLOOD_HU * share)
    return IdealSeries(baseline=_blurred(baseline), weights=_blurred(mixture.volume), curves=basis)


def _basis(curves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal curves ``(r, T)`` that hold those of the table ``(n, T)``: their principal components.

    The table's curves are smooth and much alike: ``BASIS`` of them leave less than 0.1 HU of an artery and 0.02 HU of
    tissue, far below the noise. Tissue, in the table at a flow of 1, has the weight that its own flow gives it.
    """
    scaled = curves.astype(np.float64)
    scaled[: -len(DELAYS) - OTHERS] *= USUAL_FLOW
    _, components = np.linalg.eigh(scaled.T @ scaled)  # ascending
    return np.ascontiguousarray(components.T[::-1][:BASIS], dtype=np.float32)


def _pial_delay(tissue: Tissue) -> NDArray[np.float32]:
    """Delay in s of the surface's small arteries: that of the tissue around, in a box of 7 fine voxels."""
    known = (tissue.cbf > 0).astype(np.float32)
    around = [ndimage.uniform_filter(volume, (0, 7, 7)) for volume in (tissue.delay, known)]
    return np.divide(around[0], around[1], out=np.zeros_like(known), where=around[1] > 0.01).ravel()


def _blurred(volume: Volume) -> Volume:
    """The point spread function, applied in the plane."""
    widths = (0.0,) * (volume.ndim - 2) + (PSF_SIGMA, PSF_SIGMA)
    return ndimage.gaussian_filter(volume, widths)
