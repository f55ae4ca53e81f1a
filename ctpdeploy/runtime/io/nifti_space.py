"""Where a NIfTI header lays its voxels: sform, qform, pixdim and unit, held against one another.

=============================  =====================================================================================
what speaks                    what is taken
=============================  =====================================================================================
an sform, not the identity     it; qform and pixdim are compared with it
a qform                        it, with the voxel sizes of pixdim; an sform that is the identity is compared with it
the identity as sform alone    axes as in RAS+, voxel sizes of pixdim, as in ISLES 2018
neither form                   axes in the order stored, voxel sizes of pixdim; left and right are not stated
=============================  =====================================================================================
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import nibabel as nib
import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.io.limits import VOXEL
from ctpdeploy.runtime.io.nifti_forms import Affine, qform_of, scaled, sform_of, unit_of
from ctpdeploy.runtime.io.nifti_header import grid_of

__all__ = ["SIZE_TOLERANCE", "Space", "offset_mm"]

SIZE_TOLERANCE: Final = 0.01
"""Share by which two statements of one voxel size may differ."""
_OFFSET_TOLERANCE: Final = 0.5
"""Of the smallest side of a voxel: beyond half of it a voxel's neighbour is nearer."""
_FARTHEST_MM: Final = 1e5
"""No scanner's origin is farther away."""
_FLATTEST: Final = 0.5
"""Volume of a voxel over the product of its sides: a gantry tilts by 30 degrees, which is 0.87."""

_Form = Literal["sform", "qform", "identity", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """The place of a volume's voxels.

    Attributes:
        affine: float64 ``(4, 4)``, from voxel indices ``(X, Y, Z)`` to RAS+ coordinates in mm.
        form: what laid it: ``"sform"``, ``"qform"``, ``"identity"`` or ``"none"``.
        unit_mm: unit of the header in mm.
        findings: contradictions.
    """

    affine: Affine
    form: _Form
    unit_mm: float
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, header: nib.Nifti1Header, path: Path) -> "Space":
        """The space of a header.

        Args:
            header: as :func:`ctpdeploy.runtime.io.nifti_header.read_header` reads it.
            path: its file, for error messages.

        Raises:
            InputError: the form that counts gives the axes no directions, or its voxels cannot be of a head.
        """
        unit, findings = unit_of(header)
        with np.errstate(over="ignore", invalid="ignore"):  # infinity is refused, or a finding
            pixdim = unit * header["pixdim"][1:4].astype(np.float64)
            sform, qform = sform_of(header, unit), qform_of(header, pixdim, unit)
        identity = sform is not None and np.allclose(sform / unit, np.diag([1, 1, 1, 1 / unit]))
        form: _Form
        if sform is not None and not identity:
            form, affine = "sform", sform
        elif qform is not None:
            form, affine = "qform", qform
        else:
            form, affine = "identity" if identity else "none", scaled(np.eye(3), pixdim)
        _require_space(affine, path)
        space = cls(affine=affine, form=form, unit_mm=unit)
        if form == "sform":
            findings += (*space._beside_sizes(pixdim), *space._beside_form(qform, grid_of(header)))
        if form == "qform":
            findings += _handedness(float(header["pixdim"][0]))
            if identity:  # it says nothing of sizes and origin
                findings += space._beside_form(scaled(np.eye(3), pixdim, affine[:3, 3]), grid_of(header))
        if form == "none":
            sentence = "No form code of the header is set, so it does not state left and right."
            findings += (finding("sides-not-stated", sentence),)
        return replace(space, findings=findings)

    @property
    def sides_stated(self) -> bool:
        """Whether left and right are stated, and not contradicted."""
        return not any(found.code in ("sides-not-stated", "sides-contradict") for found in self.findings)

    @property
    def sizes(self) -> tuple[float, float, float]:
        """Sides of a voxel ``(dx, dy, dz)`` in mm along ``(X, Y, Z)``."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    def is_apart(self, other: Affine, grid: tuple[int, ...]) -> bool:
        """Whether another affine lays a voxel of a grid nearer to its neighbour's place than to its own."""
        return offset_mm(self.affine, other, grid) > _OFFSET_TOLERANCE * min(self.sizes)

    def _beside_sizes(self, pixdim: NDArray[np.float64]) -> tuple[Finding, ...]:
        """Finding where pixdim states neither the sides of a voxel nor, of slices on a slant, their distance."""
        sides = np.array(self.sizes)
        upright = sides * (1.0, 1.0, _flatness(self.affine))
        if any(np.allclose(pixdim, known, rtol=SIZE_TOLERANCE, atol=0.0) for known in (sides, upright)):
            return ()
        sentence = (
            f"Voxels are {_by(sides)} mm by the affine and {_by(pixdim)} mm by pixdim: the affine is taken, and if it "
            "is the wrong one, so are volumes."
        )
        return (finding("sizes-contradict", sentence),)

    def _beside_form(self, other: Affine | None, grid: tuple[int, ...]) -> tuple[Finding, ...]:
        """Finding where the other form lays the voxels elsewhere."""
        name, taken = ("qform", "sform") if self.form == "sform" else ("sform", "qform")
        if other is None or (_is_near(other) and not self.is_apart(other, grid[:3])):
            return ()
        if not _is_near(other):
            sentence = f"The {name} is set and lays the voxels nowhere: the {taken} is taken."
            return (finding("forms-contradict", sentence),)
        if aff2axcodes(other) != aff2axcodes(self.affine):
            sentence = (
                f"The axes run to {_axes(self.affine)} by the {taken} and to {_axes(other)} by the {name}: the {taken} "
                "is taken."
            )
            return (finding("sides-contradict", sentence),)
        sentence = (
            f"The {name} lays voxels up to {offset_mm(self.affine, other, grid[:3]):.3g} mm away from where the "
            f"{taken} does: the {taken} is taken."
        )
        return (finding("forms-contradict", sentence),)


def offset_mm(one: Affine, other: Affine, grid: tuple[int, ...]) -> float:
    """The largest distance between the places that two affines give to a voxel of a grid; it is that of a corner."""
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, n - 1) for n in grid))], dtype=float).T
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())


def _handedness(factor: float) -> tuple[Finding, ...]:
    """Finding where ``pixdim[0]`` does not say which way the third axis of a qform runs."""
    if factor in (-1.0, 1.0):
        return ()
    sentence = f"The qform needs 1 or -1 in pixdim[0], where {factor:g} stands: 1 is taken."
    return (finding("sides-contradict", sentence),)


def _require_space(affine: Affine, path: Path) -> None:
    """Refuse an affine that is not finite, that lays two axes on one line, or whose voxels are of no head."""
    if not _is_near(affine) or _flatness(affine) < _FLATTEST:
        raise InputError(
            f"{path} has a form or a pixdim that gives its axes no directions or no sizes: correct its sform, qform or "
            "pixdim."
        )
    for size in np.linalg.norm(affine[:3, :3], axis=0).tolist():
        VOXEL.require(size, str(path))


def _is_near(affine: Affine) -> bool:
    """Whether an affine holds numbers only, and none that lies beyond any scanner."""
    return bool(np.isfinite(affine).all() and np.abs(affine).max() <= _FARTHEST_MM)


def _flatness(affine: Affine) -> float:
    """Volume of a voxel over the product of its sides: 1 where they are at right angles, 0 where on a plane."""
    box = float(np.linalg.norm(affine[:3, :3], axis=0).prod())
    return abs(float(np.linalg.det(affine[:3, :3]))) / box if box else 0.0


def _axes(affine: Affine) -> str:
    return "".join(code or "?" for code in aff2axcodes(affine))


def _by(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
