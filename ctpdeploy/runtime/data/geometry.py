"""Geometry: where the voxels of a case lie in the patient, and the way back to the axes of their source.

nibabel is imported where it is used: it takes half a second, and who computes with arrays alone needs none of it.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Geometry"]

_CANONICAL: Final = np.array([[0, 1], [1, 1], [2, 1]])
"""nibabel's orientation of right, anterior, superior."""

_UPRIGHT: Final = 1 - 1e-6
"""Of a sine: slices on less of a slant are rounded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """The grid of a case. The axes of its source are ``(X, Y, Z)``, those of the case ``(D, H, W)``.

    Attributes:
        affine: float64 ``(4, 4)``, from voxel indices of the source to RAS+ coordinates in mm.
        shape: number of voxels of the source ``(X, Y, Z)``.
        spacing: voxel size ``(dz, dy, dx)`` in mm along the axes of the case, dz from slice to slice.
        spacing_source: where the voxel size was taken from: ``"pixdim"`` where the file's affine is the identity (ISLES
            2018) or missing, else ``"affine"``.
        sides_stated: whether the source says, without contradiction, where left and right are.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    spacing_source: str = "affine"

    sides_stated: bool = True

    @classmethod
    def of_affine(
        cls,
        affine: NDArray[np.float64],
        shape: tuple[int, int, int],
        *,
        spacing_source: str = "affine",
        sides_stated: bool = True,
    ) -> "Geometry":
        """The geometry of a source.

        A voxel is a box of ``|det affine|``: where slices lie on a slant, as under a tilted gantry, ``dz`` is their
        distance and not the way from one voxel to that above it, which is longer by ``1 / cos(tilt)``.

        Args:
            affine: as the attribute.
            shape: as the attribute.
            spacing_source: as the attribute.
            sides_stated: as the attribute.
        """
        from nibabel.orientations import io_orientation

        sides = np.linalg.norm(affine[:3, :3], axis=0)
        along = np.empty(3)
        along[io_orientation(affine)[:, 0].astype(int)] = sides  # source axis -> right, anterior, superior
        upright = abs(float(np.linalg.det(affine[:3, :3]))) / float(sides.prod())
        dx, dy, dz = along.tolist()
        return cls(
            affine=affine,
            shape=shape,
            spacing=(dz * upright if upright < _UPRIGHT else dz, dy, dx),
            spacing_source=spacing_source,
            sides_stated=sides_stated,
        )

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing)) / 1000.0

    def to_case(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Source axes ``(X, Y, Z[, T])`` to case axes ``([T,] D, H, W)``; a view where NumPy can."""
        from nibabel.orientations import apply_orientation, io_orientation

        return apply_orientation(volume, io_orientation(self.affine)).T

    def slice_order(self) -> tuple[int, ...] | None:
        """For each slice of the case its number among the slices of the source, the last of the source's axes.

        None where the slices of the case are not those of the source, as of one that is not axial.
        """
        stacked = np.broadcast_to(np.arange(self.shape[2]), self.shape)
        order = self.to_case(stacked)[:, 0, 0].tolist()
        return tuple(order) if len(set(order)) == self.shape[2] else None

    def to_source(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Case axes ``(D, H, W)`` back to the axes of the source ``(X, Y, Z)``."""
        from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

        return apply_orientation(volume.T, ornt_transform(_CANONICAL, io_orientation(self.affine)))
