"""From the networks' outputs to a finding in the case's own voxels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.prediction import Component, Side
from ctpdeploy.runtime.data.slices import SliceOutputs, require_outputs
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid

__all__ = ["postprocess"]

_BOTH_SIDES = 0.2
"""Share of a piece on its lesser side, from which on it lies on both."""

_ONE = 1.0 + 1e-5
"""The sum of a softmax, rounded."""


def postprocess(
    outputs: SliceOutputs, case: Case, config: PreprocessConfig
) -> tuple[BoolArray, NDArray[np.float32], NDArray[np.float32] | None]:
    """Mask, probability and pseudo-DWI, where there is one, in the voxels of the case.

    Raises:
        BackendError: the engine returned arrays of another shape, or what is no probability.
        GuardError: an output holds NaN or infinity; that is never an empty mask.
    """
    shape = (case.series.shape[1], *config.slice_shape)
    require_outputs(outputs, shape, where=f"for {case.identifier}")
    for name, array in (("probability", outputs.probability), ("pseudo-DWI", outputs.pseudo_dwi)):
        if array is not None and not np.isfinite(array).all():
            raise GuardError(
                f"The {name} of {case.identifier} holds NaN or infinity: no mask is written; check the bundle."
            )
    if outputs.probability.min() < 0.0 or outputs.probability.max() > _ONE:
        raise BackendError(f"The engine returned probabilities outside 0 to 1 for {case.identifier}: take another one.")
    grid = network_grid(case, config)
    probability = grid.restore(outputs.probability)
    mask = probability > config.threshold
    if outputs.pseudo_dwi is None:
        return mask, probability, None
    return mask, probability, grid.restore(outputs.pseudo_dwi[:, 0])


def components_of(mask: BoolArray, case: Case) -> tuple[Component, ...]:
    """The connected pieces of a mask, largest first."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    index = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), case.geometry.source_voxels(mask).ravel(), minlength=count + 1)[1:]
    centroids: list[Any] = ndimage.center_of_mass(mask, labels, index) if count else []
    right = _right_share(labels, count, case) if case.geometry.sides_stated and count else None
    return tuple(
        Component(
            volume_ml=float(sizes[i] * case.geometry.source_voxel_ml),
            centroid=tuple(float(x) for x in centroids[i]),  # type: ignore[arg-type]
            side=None if right is None else _side(float(right[i])),
        )
        for i in np.argsort(-sizes, kind="stable")
    )


def _right_share(labels: NDArray[Any], count: int, case: Case) -> NDArray[np.float64]:
    """Share of each labelled piece right of the head's middle, ``(count,)``; of the image's where no brain is seen."""
    brain = np.flatnonzero(brain_mask(case.series[0].astype(np.float32), case.geometry.spacing).any(axis=(0, 1)))
    middle = (brain[0] + brain[-1]) / 2 if brain.size else (labels.shape[2] - 1) / 2
    columns = np.arange(labels.shape[2])
    beyond = np.broadcast_to((columns > middle) + 0.5 * (columns == middle), labels.shape)
    index = np.arange(1, count + 1)
    return np.asarray(ndimage.mean(beyond, labels, index), dtype=np.float64)


def _side(right: float) -> Side:
    """The side of a piece, of which that share lies on the right."""
    if min(right, 1.0 - right) >= _BOTH_SIDES:
        return "both"
    return "right" if right > 0.5 else "left"
