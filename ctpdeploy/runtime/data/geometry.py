"""Geometry: where the voxels of a case lie in the patient, and the way back to the axes of their source.

nibabel is imported where it is used: it takes half a second, and who computes with arrays alone needs none of it.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Geometry"]

_CANONICAL: Final = np.array([[0, 1], [1, 1], [2, 1]])
"""nibabel's orientation of right, anterior, superior."""

_WHOLE: Final = 1e-6
"""Of a slab: what rounding takes from a whole number of them."""

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
        slabs: numbers of slices of the source in each slice of the case, from foot to head, where thin ones are
            averaged; None where they are the same.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    spacing_source: str = "affine"

    sides_stated: bool = True
    slabs: tuple[int, ...] | None = None

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
        sides = np.linalg.norm(affine[:3, :3], axis=0)
        along = np.empty(3)
        along[_orientation(affine)[:, 0].astype(int)] = sides  # source axis -> right, anterior, superior
        upright = abs(float(np.linalg.det(affine[:3, :3]))) / float(sides.prod())
        dx, dy, dz = along.tolist()
        return cls(
            affine=affine,
            shape=shape,
            spacing=(dz * upright if upright < _UPRIGHT else dz, dy, dx),
            spacing_source=spacing_source,
            sides_stated=sides_stated,
        )

    def in_slabs(self, least_mm: float) -> "Geometry":
        """The same source, its slices averaged to slabs no thinner than ``least_mm``, all as thick as can be alike."""
        thickness, count = self.spacing[0], self._source_slices
        number = max(1, int(count * thickness / least_mm + _WHOLE)) if least_mm > 0 else count
        if number >= count:
            return self
        slabs = tuple(count // number + (i < count % number) for i in range(number))
        return replace(self, slabs=slabs, spacing=(thickness * count / number, *self.spacing[1:]))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel of the case in ml, the mean where slabs differ."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def source_voxel_ml(self) -> float:
        """Volume of one voxel of the source in ml."""
        return self.voxel_ml if self.slabs is None else self.voxel_ml * len(self.slabs) / sum(self.slabs)

    def source_voxels(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """For each voxel of ``(D, H, W)`` in a mask, how many of the source it stands for, ``(D, H, W)``."""
        each = np.int64(1) if self.slabs is None else np.asarray(self.slabs)[:, None, None]
        return mask * each

    def volume_ml(self, mask: NDArray[np.bool_]) -> float:
        """Volume in ml of a mask ``(D, H, W)``."""
        return float(self.source_voxels(mask).sum() * self.source_voxel_ml)

    @property
    def _source_slices(self) -> int:
        """Number of the source's slices from foot to head."""
        return self.shape[int(np.flatnonzero(_orientation(self.affine)[:, 0] == 2)[0])]

    def to_case(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Source axes ``(X, Y, Z[, T])`` to case axes ``([T,] D, H, W)``; a view where NumPy can.

        Slices of a slab become their mean, float32; of a mask, true where half of them are.
        """
        from nibabel.orientations import apply_orientation

        oriented = apply_orientation(volume, _orientation(self.affine)).T
        if self.slabs is None:
            return oriented
        means = self.slab_means(oriented, axis=-3, dtype=np.float32)
        return means >= 0.5 if volume.dtype == np.bool_ else means

    def slab_means(self, values: NDArray[Any], *, axis: int, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        """Values of slices of the source, from foot to head along an axis, as the means of each slab."""
        sizes = np.asarray(self.slabs)
        means = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=axis, dtype=dtype)
        np.moveaxis(means, axis, -1)[...] /= sizes.astype(dtype)
        return means

    def slice_order(self) -> tuple[int, ...] | None:
        """For each slice of the case its number among the slices of the source, the last of the source's axes.

        None where the slices of the case are not those of the source, as of one that is not axial.
        """
        stacked = np.broadcast_to(np.arange(self.shape[2]), self.shape)
        order = self.to_case(stacked)[:, 0, 0].tolist()
        return tuple(order) if len(set(order)) == self.shape[2] else None

    def to_source(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Case axes ``(D, H, W)`` back to the axes of the source ``(X, Y, Z)``; each slice of a slab is the slab's."""
        from nibabel.orientations import apply_orientation, ornt_transform

        if self.slabs is not None:
            volume = np.repeat(volume, self.slabs, axis=0)
        return apply_orientation(volume.T, ornt_transform(_CANONICAL, _orientation(self.affine)))


def _orientation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each axis of the source the canonical one nearest to it and its sign ``(3, 2)``, as nibabel has it."""
    from nibabel.orientations import io_orientation

    return io_orientation(affine)
