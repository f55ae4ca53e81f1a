"""Places: the positions at which the planes of a series lie, one behind the other along their normal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.plane import Plane

__all__ = ["Places", "find_places", "normal_of", "require_still"]

_SAME_MM: Final = 0.1
"""Planes nearer than this along their normal lie at one place: tables come back to it no better."""

_STILL_MM: Final = 0.2
"""How far an image may lie from the first at its place: twice what a table misses, half a pixel of a head or less."""

_COSINES: Final = 1e-3
"""How far the two directions of an image may be from length 1 and from a right angle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """The places of some planes.

    Attributes:
        of_planes: number of the place of each plane ``(N,)``, counted along the normal.
        heights: of the places along the normal in mm, ascending, ``(Z,)``.
        positions: of the places in the patient, mm, ``(Z, 3)``.
    """

    of_planes: NDArray[np.int64]
    heights: NDArray[np.float64]
    positions: NDArray[np.float64]


def normal_of(orientation: Sequence[float], called: str) -> NDArray[np.float64]:
    """The direction in which the planes of an orientation lie one behind the other, of length 1.

    Raises:
        InputError: the orientation is none.
    """
    directions = np.reshape(orientation, (2, 3))
    lengths = np.linalg.norm(directions, axis=1)
    if not (np.abs(lengths - 1) < _COSINES).all() or abs(float(directions[0] @ directions[1])) > _COSINES:
        raise InputError(f"{called} states directions that are none of an image: send the series again.")
    normal = np.cross(directions[0], directions[1])
    return normal / np.linalg.norm(normal)


def find_places(planes: Sequence[Plane], normal: NDArray[np.float64]) -> Places:
    """The places of planes of one orientation.

    Args:
        planes: at least one, each placed.
        normal: of their orientation.
    """
    positions = np.array([plane.position for plane in planes])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    starts = np.diff(along[order], prepend=-np.inf) > _SAME_MM
    of_planes = np.empty(len(planes), dtype=np.int64)
    of_planes[order] = np.cumsum(starts) - 1
    counts = np.bincount(of_planes)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        first = values[order[starts]]  # so that equal numbers stay what they are
        return first + np.bincount(of_planes, values - first[of_planes]) / counts

    return Places(
        of_planes=of_planes,
        heights=mean(along),
        positions=np.stack([mean(positions[:, axis]) for axis in range(3)], axis=1),
    )


def require_still(
    planes: Sequence[Plane], of_planes: NDArray[np.int64], times: NDArray[np.float64], unit: str, called: str
) -> None:
    """Refuse images that lie beside the others of their place: one affine is that of all or of none.

    Args:
        planes: each placed.
        of_planes: number of the place of each ``(N,)``.
        times: of each ``(N,)``.
        unit: of the times, for the error.
        called: name of the series, for the error.

    Raises:
        InputError: one does, as where the patient, the table or the field of view moved.
    """
    positions = np.array([plane.position for plane in planes])
    order = np.lexsort((times, of_planes))
    starts = np.flatnonzero(np.diff(of_planes[order], prepend=-1))
    moved = np.linalg.norm(positions - positions[order[starts]][of_planes], axis=1)
    aside = np.flatnonzero(moved > _STILL_MM)
    if aside.size:
        first, far = aside[times[aside].argmin()], float(moved.max())
        raise InputError(
            f"{called} states other positions from {times[first] - times.min():.1f} {unit} on, by up to {far:.1f} mm "
            f"({planes[first].file.name} is the first), as where the patient, the table or the field of view moved: "
            "send a scan of one position, or NIfTI files of registered images."
        )
