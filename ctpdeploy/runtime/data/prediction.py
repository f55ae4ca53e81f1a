"""The prediction for a case, and the engine behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.data.case import BoolArray
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.data.slices import PerfusionWindow

__all__ = ["CaseOutputs", "Component", "EngineInfo", "Prediction", "Provenance", "Side"]


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """The backend, processor and packages that really run, for the report.

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
    """An engine's results for a whole case, in the voxels of the case.

    Attributes:
        mask: lesion, bool ``(D, H, W)``.
        probability: of lesion, float32 ``(D, H, W)``.
        pseudo_dwi: I_g, float32 ``(D, H, W)``; None from a system without synthesis.
        window: the perfusion window.
        engine: that ran the networks of this case.
        seconds: of each stage, by its name in the report: ``preprocess``, ``networks`` and ``postprocess``.
        findings: on fallbacks from what was requested.
    """

    mask: BoolArray
    probability: NDArray[np.float32]
    pseudo_dwi: NDArray[np.float32] | None
    window: PerfusionWindow
    engine: EngineInfo
    seconds: Mapping[str, float]
    findings: tuple[Finding, ...] = ()


Side = Literal["left", "right", "both"]
"""Of the head, as the patient sees it."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One connected piece of the lesion (26 neighbours).

    Attributes:
        volume_ml: its volume.
        centroid: slice, row and column of its centre, in voxels of the case.
        side: the patient's ``"left"`` or ``"right"`` half of the head, ``"both"`` where a fifth or more of it lies on
            each; None where the source does not state them.
    """

    volume_ml: float
    centroid: tuple[float, float, float]
    side: Side | None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a prediction: bundle and backend, for the report.

    Attributes:
        bundle: name and SHA-256 of the bundle, as ``name`` and ``sha256``; as ``signature`` whether it has one,
            ``"holds"``, ``"not checked"`` or ``"none"``; as ``signed_by`` the fingerprint of the key with which it was
            checked, or None.
        backend_requested: name of the requested backend, or ``"auto"``.
        backend_because: why this backend ran, one sentence.
    """

    bundle: Mapping[str, str | None]
    backend_requested: str
    backend_because: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The lesion of a case, with all that led to it.

    Attributes:
        outputs: mask, probability and pseudo-DWI in the voxels of the case, the window, the engine and its seconds.
        components: connected pieces of the mask, largest first.
        volume_ml: volume of the mask.
        threshold: probability above which the mask is lesion.
        findings: of reading, preprocessing, plausibility and the engine, the gravest first.
        provenance: of the networks; None where they came from no bundle.
        card: of the networks; None where they have none.
    """

    outputs: CaseOutputs
    components: tuple[Component, ...]
    volume_ml: float
    threshold: float
    findings: tuple[Finding, ...] = ()
    provenance: Provenance | None = None
    card: ModelCard | None = None

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences that every form of a result carries: on synthetic training data, and what it is for."""
        return (*((self.card.synthetic,) if self.card and self.card.synthetic else ()), INTENDED_USE)

    @property
    def knows_case(self) -> bool:
        """Whether the networks were trained on this scan or chosen by it, so that scores of it flatter."""
        return any(found.code == "case-known" for found in self.findings)

    @property
    def mask(self) -> BoolArray:
        """Lesion, bool ``(D, H, W)``."""
        return self.outputs.mask

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability of lesion, float32 ``(D, H, W)``."""
        return self.outputs.probability

    @property
    def pseudo_dwi(self) -> NDArray[np.float32] | None:
        """Synthesised DWI, float32 ``(D, H, W)``, about [0, 1]; None from a system without synthesis."""
        return self.outputs.pseudo_dwi
