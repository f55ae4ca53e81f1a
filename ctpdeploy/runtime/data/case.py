"""A case: one CT perfusion study as arrays, in one orientation and one set of units.

Arrays run ``(D, H, W)``: slices from foot to head, rows from back to front, columns from left to right (RAS+ axes,
as the file's affine states them). The geometry keeps what is needed to give results back in the file's own axes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform
from numpy.typing import NDArray

__all__ = ["MAP_NAMES", "MAP_UNITS", "BoolArray", "Case", "FloatArray", "Geometry"]

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]

MAP_NAMES = ("cbf", "cbv", "mtt", "tmax")
"""The perfusion maps F_o, in the order in which every network takes them."""

MAP_UNITS = {"cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s", "tmax": "s"}

CANONICAL = np.array([[0, 1], [1, 1], [2, 1]])
"""nibabel's orientation of right, anterior, superior."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where the voxels lie, as the source file says.

    Attributes:
        header: NIfTI header of the source volume, reduced to three dimensions; results are written with it.
        spacing: voxel size ``(dz, dy, dx)`` in mm along the axes of the case.
        spacing_source: ``"pixdim"`` where the affine is the identity (ISLES 2018), else ``"affine"``.
    """

    header: nib.Nifti1Header
    spacing: tuple[float, float, float]
    spacing_source: str

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing)) / 1000.0

    def to_case(self, volume: NDArray[Any]) -> NDArray[Any]:
        """File axes ``(X, Y, Z[, T])`` to case axes ``([T,] D, H, W)``; a view where numpy can."""
        oriented = apply_orientation(volume, io_orientation(self.header.get_best_affine()))
        return oriented.T

    def to_file(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Case axes ``(D, H, W)`` back to the axes of the source file ``(X, Y, Z)``."""
        source = io_orientation(self.header.get_best_affine())
        return apply_orientation(volume.T, ornt_transform(CANONICAL, source))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One study, checked: shapes agree, every number is finite.

    Attributes:
        identifier: name of the case, as its folder is called.
        series: raw spatiotemporal CT ``(T, D, H, W)`` in HU, int16 or float32, T >= 2.
        maps: CBF, CBV, MTT and Tmax by their names in ``MAP_NAMES``, each ``(D, H, W)`` float32 in ``MAP_UNITS``.
        times: frame times ``(T,)`` in s, from 0.
        geometry: voxel size and the way back to the source file.
        dwi: diffusion-weighted image ``(D, H, W)`` float32 in its own units, where there is one.
        lesion: infarct drawn on the DWI ``(D, H, W)``, where there is one.
        files: name of the file behind each part, without its folder.
        warnings: what was assumed while reading, one sentence each.
    """

    identifier: str
    series: NDArray[Any]
    maps: Mapping[str, FloatArray]
    times: FloatArray
    geometry: Geometry
    dwi: FloatArray | None = None
    lesion: BoolArray | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
