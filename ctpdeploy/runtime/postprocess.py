"""From the networks' outputs to a finding in the case's own voxels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.errors import GuardError
from ctpdeploy.runtime.case import BoolArray, Case
from ctpdeploy.runtime.engine import EngineInfo, SliceOutputs
from ctpdeploy.runtime.preprocess import PreprocessConfig, from_network_grid
from ctpdeploy.runtime.window import PerfusionWindow

__all__ = ["THRESHOLD", "Component", "Prediction", "postprocess"]

THRESHOLD = 0.5
"""Lesion where its probability is above: with two classes, where it is the likelier one."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One connected piece of the lesion (26 neighbours).

    Attributes:
        volume_ml: its volume.
        centroid: slice, row and column of its centre, in voxels of the case.
        side: the patient's ``"left"`` or ``"right"`` half of the image, by its centroid.
    """

    volume_ml: float
    centroid: tuple[float, float, float]
    side: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was found in a case.

    Attributes:
        mask: lesion ``(D, H, W)``, in the voxels of the case.
        probability: of lesion, float32 ``(D, H, W)``.
        pseudo_dwi: synthesised DWI, float32 ``(D, H, W)``, about [0, 1]; None from a system without synthesis.
        components: connected pieces, largest first.
        volume_ml: volume of the mask.
        window: the perfusion window used.
        engine: what ran the networks.
        seconds: time of each stage.
        warnings: quality flags, one sentence each.
    """

    mask: BoolArray
    probability: NDArray[np.float32]
    pseudo_dwi: NDArray[np.float32] | None
    components: tuple[Component, ...]
    volume_ml: float
    window: PerfusionWindow
    engine: EngineInfo
    seconds: Mapping[str, float]
    warnings: tuple[str, ...]


def postprocess(
    outputs: SliceOutputs, case: Case, config: PreprocessConfig
) -> tuple[BoolArray, NDArray[np.float32], NDArray[np.float32] | None]:
    """Mask, probability and pseudo-DWI, where there is one, in the voxels of the case.

    Raises:
        GuardError: an output holds NaN or infinity; that is never an empty mask.
    """
    for name, array in (("probability", outputs.probability), ("pseudo-DWI", outputs.pseudo_dwi)):
        if array is not None and not np.isfinite(array).all():
            raise GuardError(
                f"The {name} of {case.identifier} holds NaN or infinity: no mask is written; check the bundle."
            )
    probability = from_network_grid(outputs.probability, case, config)
    if outputs.pseudo_dwi is None:
        return probability > THRESHOLD, probability, None
    return probability > THRESHOLD, probability, from_network_grid(outputs.pseudo_dwi[:, 0], case, config)


def components_of(mask: BoolArray, case: Case) -> tuple[Component, ...]:
    """The connected pieces of a mask, largest first."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    index = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centroids: list[Any] = ndimage.center_of_mass(mask, labels, index) if count else []
    middle = (mask.shape[2] - 1) / 2
    return tuple(
        Component(
            volume_ml=float(sizes[i] * case.geometry.voxel_ml),
            centroid=tuple(float(x) for x in centroids[i]),  # type: ignore[arg-type]
            side="right" if centroids[i][2] > middle else "left",
        )
        for i in np.argsort(-sizes, kind="stable")
    )
