"""What runs the networks: the protocol that every backend fulfils."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.case import BoolArray, Case
from ctpdeploy.runtime.preprocess import PreprocessConfig, SliceBatch
from ctpdeploy.runtime.window import PerfusionWindow

__all__ = ["CaseEngine", "CaseOutputs", "Engine", "EngineInfo", "SliceOutputs"]


@dataclass(frozen=True, kw_only=True)
class SliceOutputs:
    """What the networks say of each slice, on their own grid.

    Attributes:
        probability: softmax probability of lesion, float32 ``(N, H, W)``.
        pseudo_dwi: I_g, float32 ``(N, 1, H, W)``, about [0, 1], not clipped; None from a system without synthesis.
        extractor: F_h, float32 ``(N, 1, H, W)``; None from a system without a feature extractor.
    """

    probability: NDArray[np.float32]
    pseudo_dwi: NDArray[np.float32] | None = None
    extractor: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What really runs, for the report.

    Attributes:
        backend: name in the registry of backends.
        device: the processor in words.
        precision: number format of the network's arithmetic.
        versions: versions of the packages involved.
        cuda_graph: on a GPU, whether batches that come again are replayed as CUDA graphs: ``"yes"``; ``"no"``, not so
            far or not by this engine; ``"off"``, not any more, since a replay gave something else. None elsewhere.
    """

    backend: str
    device: str
    precision: str
    versions: dict[str, str] = field(default_factory=dict)
    cuda_graph: Literal["yes", "no", "off"] | None = None


class Engine(Protocol):
    """Runs the networks of a system on slices.

    Contract:
        * ``run`` takes any number of slices N >= 1 of the bundle's height and width, and returns new arrays that
          the caller owns;
        * slices are independent: a slice gives the same outputs in every batch;
        * outputs may hold NaN or infinity; who asks for them checks.
    """

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        ...

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch.

        Raises:
            InputError: the batch is not what the networks take.
        """
        ...


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


@runtime_checkable
class CaseEngine(Engine, Protocol):
    """An engine that takes raw cases: what comes before and after its networks runs where they run."""

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        """Preprocess, run the networks, and postprocess.

        Raises:
            InputError: the series or a map holds NaN or infinity, or has a type that the device does not take.
            GuardError: the networks returned NaN or infinity, in float32 too.
            BackendError: the device refuses.
        """
        ...
