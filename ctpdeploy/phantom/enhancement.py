"""From tissue and vessels to the series of an ideal scanner.

Hounsfield units add up, so a voxel's enhancement is a weighted sum of the bolus's table of curves. These have few
principal components: fine voxels add up in their weights, which are blurred, and one product gives the series.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from ctpdeploy.phantom.bolus import DELAYS, TRANSIT_TIMES, Bolus, artery_rows, tissue_rows
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

PSF_SIDE = 0.0558
"""Point spread function in pixels: this of a pixel goes to each neighbour along an axis, as of a Gaussian with a full
width at half maximum of 1 pixel."""

BASIS, USUAL_FLOW = 20, 60.0
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
        weights: ``(D, H, W, r)``.
        curves: ``(r, T)``, orthonormal, such that weights by curves are HU above the baseline.
    """

    baseline: Volume
    weights: Volume
    curves: NDArray[np.float32]

    def frames(self) -> Volume:
        """The series ``(T, D, H, W)``."""
        frames = self.curves.T @ self.weights.reshape(-1, len(self.curves)).T
        frames += self.baseline.ravel()
        return frames.reshape(-1, *self.baseline.shape)


def ideal_series(
    head: Head, tissue: Tissue, stroke: Stroke, bolus: Bolus, times: FloatArray, rng: np.random.Generator
) -> IdealSeries:
    """The head's series at ``times`` ``(T,)`` in s, blurred, free of noise."""
    late = rng.uniform(*LATE_AMPLITUDE) * bolus.late(rng.uniform(*LATE_DELAY), rng.uniform(*LATE_TAU))
    others = np.stack([bolus.vof(), late, bolus.aif(), bolus.leaked()])
    curves = np.concatenate([bolus.at(bolus.table(), times), bolus.at(others, times)])
    basis = _basis(curves)
    coefficients = curves @ basis.T
    venous, collateral, arterial, leaked = shares = np.zeros((OTHERS, *head.hu.shape), dtype=np.float32)
    blood = np.zeros_like(head.hu)
    for vessel, side, box, share in tubes(head, rng):
        cut_off = side == stroke.side and vessel.name in BEHIND.get(stroke.site, ())
        share = np.minimum(share, 1 - blood[box])  # where tubes meet
        blood[box] += share
        (venous if vessel.vein else collateral if cut_off else arterial)[box] += share
    pial = np.minimum(pial_fraction(head, rng), 1 - blood)
    blood += pial
    leaked[:] = (head.depth < -SKULL_MM) & (head.hu > SOFT_HU[0]) & (head.hu < SOFT_HU[1])
    weights = _perfused(head.grid, tissue, pial, blood) @ coefficients[:-OTHERS]
    parts = np.stack([head.grid.average(share).ravel() for share in shares])
    some = np.flatnonzero(parts.any(axis=0))
    weights[some] += parts[:, some].T @ coefficients[-OTHERS:]
    baseline = head.grid.average((head.hu + tissue.hu) * (1 - blood) + BLOOD_HU * blood)
    weights = weights.reshape(*baseline.shape, -1)
    for image in (*baseline, *weights):
        _blur(image)
    return IdealSeries(baseline=baseline, weights=weights, curves=basis)


def _perfused(grid: Grid, tissue: Tissue, pial: Volume, blood: Volume) -> sparse.csr_array:
    """Weights of the table's curves ``(D * H * W, n)`` in each voxel, the sum of its fine voxels' over their number.

    Tissue and pial arteries have no fine voxel in common.
    """
    delay = np.where(pial > 0, _pial_delay(grid, tissue), tissue.delay)
    amount = (pial + tissue.cbf * (1 - blood)) / np.float32(grid.subslices)
    depth, height, width = grid.shape
    stacked = (depth, grid.subslices, height * width)  # fine voxels of a voxel lie one after another then
    amount, delay, mtt, pial = (
        np.ascontiguousarray(volume.reshape(stacked).swapaxes(1, 2)).ravel()
        for volume in (amount, delay, tissue.mtt, pial)
    )
    fine = np.flatnonzero(amount)
    rows, weights = tissue_rows(mtt[fine], delay[fine])
    small = np.flatnonzero(pial[fine])
    rows[:2, small], weights[:2, small] = artery_rows(delay[fine[small]])  # the others are 0, as the MTT is
    weights *= amount[fine]
    shape = (depth * height * width, len(TRANSIT_TIMES) * len(DELAYS) + len(DELAYS))
    of_voxels = len(rows) * np.bincount(fine // grid.subslices, minlength=shape[0])
    starts = np.concatenate([[0], np.cumsum(of_voxels)])
    return sparse.csr_array((weights.T.ravel(), rows.T.ravel(), starts), shape=shape)


def _basis(curves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal curves ``(r, T)`` that hold those of the table ``(n, T)``: their principal components.

    The table's curves are smooth and much alike: ``BASIS`` of them leave at most 0.7 HU of an artery, which rises by
    250 or more, and 0.07 HU of tissue, far below the noise. Tissue, in the table at a flow of 1, has the weight that
    its own flow gives it.
    """
    scaled = curves.astype(np.float64)
    scaled[: -len(DELAYS) - OTHERS] *= USUAL_FLOW
    _, components = np.linalg.eigh(scaled.T @ scaled)  # ascending
    return np.ascontiguousarray(components.T[::-1][:BASIS], dtype=np.float32)


def _pial_delay(grid: Grid, tissue: Tissue) -> NDArray[np.float32]:
    """Delay in s of the surface's small arteries, in fine voxels: that of the tissue around, in a box of 7 pixels."""
    volumes = (tissue.delay, tissue.cbf > 0)
    around = [ndimage.uniform_filter(grid.average(volume), (0, 7, 7)) for volume in volumes]
    delay = np.divide(around[0], around[1], out=np.zeros_like(around[0]), where=around[1] > 0.01)
    return delay.repeat(grid.subslices, axis=0)


def _blur(image: Volume) -> None:
    """Apply the point spread function to an image ``(H, W, ...)``, in place: what a pixel gives its neighbour gets."""
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        flow = np.float32(PSF_SIDE) * (image[after] - image[before])
        image[before] += flow
        image[after] -= flow
