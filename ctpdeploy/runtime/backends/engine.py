"""What runs the networks: the protocol that every backend fulfils."""

from typing import Protocol, runtime_checkable

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = [
    "CaseEngine",
    "Engine",
]


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
