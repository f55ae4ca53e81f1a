"""The prediction for a case, and the engine behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import BoolArray
from ctpdeploy.runtime.data.slices import PerfusionWindow

__all__ = ["CaseOutputs", "Component", "EngineInfo", "Prediction"]


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What really runs, for the report.

    Attributes:
        backend: name in the registry of backends.
        device: the processor in words.
        precision: number format of the network's arithmetic.
        versions: versions of the packages involved.
        cuda_graph: on a GPU, whether batches that come again are replayed as CUDA graphs: ``"active"``; ``"pending"``,
            not so far or not by this engine; ``"disabled"``, not any more, since a replay gave something else. None
            elsewhere.
    """

    backend: str
    device: str
    precision: str
    versions: dict[str, str] = field(default_factory=dict)
    cuda_graph: Literal["active", "pending", "disabled"] | None = None


@dataclass(frozen=True, kw_only=True)
class CaseOutputs:
    """What an engine says of a whole case, in the voxels of the case.

    Attributes:
        mask: lesion, bool ``(D, H, W)``.
        probability: of lesion, float32 ``(D, H, W)``.
        pseudo_dwi: I_g, float32 ``(D, H, W)``; None from a system without synthesis.
        window: the perfusion window.
        engine: what ran the networks of this case.
        seconds: of each stage, by its name in the report: ``preprocess``, ``networks`` and ``postprocess``.
        warnings: what was done otherwise than asked, one sentence each.
    """

    mask: BoolArray
    probability: NDArray[np.float32]
    pseudo_dwi: NDArray[np.float32] | None
    window: PerfusionWindow
    engine: EngineInfo
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()


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
