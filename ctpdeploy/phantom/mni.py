"""The MNI ICBM 152 brain, deformed: real sulci, ventricles and nuclei, on average over 152 young adults.

The atlas is read from the installed nilearn at run time; no file of it is part of ctpdeploy. It is ICBM 2009a
nonlinear symmetric at 1 mm: grey matter, white matter and T1 without the skull (Fonov et al. 2011,
doi:10.1016/j.neuroimage.2010.07.033; Collins et al. 1999, doi:10.1007/3-540-48714-X_16). Copyright (C) 1993-2009
Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University, who permit to use,
copy, modify and distribute it for any purpose and without fee, provided that their notice appears in all copies;
nilearn itself calls the licence unknown.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.optional import require
from ctpdeploy.phantom.fields import Grid, Volume, smooth_noise
from ctpdeploy.phantom.head import Brain, Place

__all__ = ["mni_brain"]

TISSUE_T1 = 0.05  # of the template's maximum
CLOSING_MM = 12.0
"""Fissures narrower than twice this lie inside the brain's envelope, as under the dura."""

DEPTH_STEP, DEPTH_SIGMA = 2, 3.0
"""Pitch in mm at which depth is computed, and its smoothing: a skull does not follow each gyrus."""

THINNEST_GREY = 3  # mm
FLUID, FLUID_SIGMA, FLUID_SPREAD = (0.28, 0.42), 5.0, 0.10
"""Share of CSF above which a voxel is CSF, one for each patient (the less, the wider the sulci), and its noise in mm
and as a share."""


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """A function of place, by its values ``(X, Y, Z)``, float32, every ``step`` mm from ``origin`` in mm."""

    values: Volume
    origin: tuple[float, ...]
    step: int = 1

    def at(self, place: Place) -> Volume:
        """The value at each place by linear interpolation, beyond the lattice that of its face."""
        index = [(axis - np.float32(first)) / self.step for axis, first in zip(place, self.origin, strict=True)]
        return ndimage.map_coordinates(self.values, index, order=1, mode="nearest")


def mni_brain(place: Place, grid: Grid, rng: np.random.Generator) -> Brain:
    """The atlas at a patient's own coordinates, whose warp makes it another brain, with its own width of sulci.

    Raises:
        MissingPackageError: nilearn is not installed.
    """
    depth, grey, white = (lattice.at(place) for lattice in _atlas())
    fluid = 1 - grey - white + np.float32(FLUID_SPREAD) * smooth_noise(rng, FLUID_SIGMA, grid)
    brain = depth > 0
    csf = brain & (fluid > rng.uniform(*FLUID))
    tissue = brain & ~csf
    return Brain(depth=depth, grey=tissue & (grey >= white), white=tissue & (grey < white), csf=csf)


@cache
def _atlas() -> tuple[Lattice, Lattice, Lattice]:
    """Depth in mm below the brain's envelope, negative outside, and the shares of grey and white matter.

    Kept for the life of the process, as it takes seconds to read.
    """
    datasets = require("nilearn.datasets", extra="mni")
    t1 = datasets.load_mni152_template(resolution=1)
    grey, white = _shares(
        datasets.load_mni152_gm_template(resolution=1), datasets.load_mni152_wm_template(resolution=1)
    )
    origin = tuple(float(first) for first in t1.affine[:3, 3])
    coarse = (slice(None, None, DEPTH_STEP),) * 3
    depth = _depth(_values(t1)[coarse] > TISSUE_T1)
    return (
        Lattice(values=depth, origin=origin, step=DEPTH_STEP),
        Lattice(values=grey, origin=origin),
        Lattice(values=white, origin=origin),
    )


def _shares(grey_image: Any, white_image: Any) -> tuple[Volume, Volume]:  # noqa: ANN401
    """Shares of grey and white matter, without the film of grey around the ventricles.

    There white matter and CSF mix, which the atlas calls grey; no grey matter is that thin.
    """
    grey, white = _values(grey_image), _values(white_image)
    thick = ndimage.grey_opening(grey, size=THINNEST_GREY)
    return thick, white + grey - thick


def _values(image: Any) -> Volume:  # noqa: ANN401
    return np.asarray(image.dataobj, dtype=np.float32)


def _depth(mask: NDArray[np.bool_]) -> Volume:
    """Signed distance in mm to the envelope of a mask, its closing by a ball; the mask every ``DEPTH_STEP`` mm.

    The surface of a closing is that of the dilation, moved inwards by the radius of the ball.
    """
    dilated = ndimage.distance_transform_edt(~mask, DEPTH_STEP) < CLOSING_MM
    inside, outside = (ndimage.distance_transform_edt(part, DEPTH_STEP) for part in (dilated, ~dilated))
    depth = ndimage.gaussian_filter(inside - outside - CLOSING_MM, DEPTH_SIGMA / DEPTH_STEP)
    return np.asarray(depth, dtype=np.float32)
