"""Detection of lesions, piece by piece: which of those drawn by the reader are met, and which are drawn for nothing.

A piece is a connected region of a mask, 26 neighbours. A true piece is found if the prediction shares a voxel with it;
a predicted piece is false if it shares none with the truth. Over many cases, by the size of the piece::

    sensitivity = true pieces found / true pieces
    precision   = predicted pieces that are not false / predicted pieces
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["SIZES", "SIZE_LIMITS_ML", "Pieces", "detection", "find_pieces"]

SIZE_LIMITS_ML: Final = (1.0, 5.0, 10.0, 50.0)
SIZES: Final = ("under 1 ml", "1 to 5 ml", "5 to 10 ml", "10 to 50 ml", "50 ml and more")
"""Between the limits; a lower limit is included."""

_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of a case.

    Attributes:
        true_ml: volumes of the true ones.
        found: which of these are.
        drawn_ml: volumes of the predicted ones.
        false: which of these are.
    """

    true_ml: tuple[float, ...] = ()
    found: tuple[bool, ...] = ()
    drawn_ml: tuple[float, ...] = ()
    false: tuple[bool, ...] = ()


def find_pieces(mask: BoolArray, truth: BoolArray, voxel_ml: float) -> Pieces:
    """Pieces of a prediction and of the truth, both ``(D, H, W)``.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != truth.shape:
        raise ValueError(f"a mask of shape {mask.shape} cannot be compared with a truth of shape {truth.shape}")
    true_ml, found = _pieces(truth, mask, voxel_ml)
    drawn_ml, right = _pieces(mask, truth, voxel_ml)
    return Pieces(true_ml=true_ml, found=found, drawn_ml=drawn_ml, false=tuple(not hit for hit in right))


def _pieces(mask: BoolArray, other: BoolArray, voxel_ml: float) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Volumes of a mask's pieces, and which share a voxel with the other mask."""
    labels, count = ndimage.label(mask, structure=_NEIGHBOURS)
    volumes = voxel_ml * np.bincount(labels.ravel(), minlength=count + 1)[1:]
    met = np.bincount(labels[other], minlength=count + 1)[1:] > 0
    return tuple(volumes.tolist()), tuple(met.tolist())


def detection(cases: Sequence[Pieces]) -> dict[str, Any]:
    """Detection over cases, of all pieces and by size.

    Returns:
        ``lesions``, ``found``, ``sensitivity``, ``drawn``, ``precision`` and ``false_per_case``; and ``sizes`` with the
        same of each of ``SIZES``, true pieces by their own size and predicted ones by theirs. Shares are None where
        there is nothing to share.
    """
    true = [pair for case in cases for pair in zip(case.true_ml, case.found, strict=True)]
    drawn = [pair for case in cases for pair in zip(case.drawn_ml, case.false, strict=True)]
    sizes = {
        name: _figures([p for p in true if _size(p[0]) == name], [p for p in drawn if _size(p[0]) == name], len(cases))
        for name in SIZES
    }
    return {**_figures(true, drawn, len(cases)), "sizes": sizes}


def _figures(true: Sequence[tuple[float, bool]], drawn: Sequence[tuple[float, bool]], cases: int) -> dict[str, Any]:
    found, false = (sum(hit for _, hit in pairs) for pairs in (true, drawn))
    return {
        "lesions": len(true),
        "found": found,
        "sensitivity": found / len(true) if true else None,
        "drawn": len(drawn),
        "precision": 1 - false / len(drawn) if drawn else None,
        "false_per_case": false / cases if cases else None,
    }


def _size(volume_ml: float) -> str:
    """The name of a piece's size; rounded, as the sum of 10 ml in voxels is not always 10.0."""
    return SIZES[int(np.searchsorted(SIZE_LIMITS_ML, round(volume_ml, 6), side="right"))]
