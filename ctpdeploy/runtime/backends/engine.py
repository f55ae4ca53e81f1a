"""Engines, which run the networks: the protocol that every backend fulfils."""

from typing import Protocol, Self, runtime_checkable

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["CaseEngine", "Engine", "closed"]


class Engine(Protocol):
    """Runs the networks of a system on slices.

    ::

        with open_engine(bundle, "ort-cpu") as engine:
            outputs = engine.run(batch)

    Contract:
        * ``run`` takes any number of slices N >= 1 of the bundle's height and width, and returns new arrays that
          the caller owns;
        * slices are independent: a slice gives the same outputs in every batch;
        * outputs may hold NaN or infinity; the caller checks them;
        * ``close`` gives back memory and threads at once. It is called in the thread that opened the engine, while
          nothing runs, and may be called again; whatever is run afterwards raises BackendError. As a context manager
          an engine closes itself.
    """

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run, or ran until it was closed."""
        ...

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch.

        Raises:
            InputError: the batch is not what the networks take, float32 of their shapes.
            BackendError: the package behind the engine fails, or the engine is closed.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@runtime_checkable
class CaseEngine(Engine, Protocol):
    """An engine that takes raw cases: what comes before and after its networks runs where they run."""

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        """Preprocess, run the networks, and postprocess.

        Raises:
            InputError: the series or a map holds NaN or infinity, or has a type that the device does not take.
            GuardError: the networks returned NaN or infinity, in float32 too.
            BackendError: the device refuses, or the engine is closed.
        """
        ...


def closed(backend: str) -> BackendError:
    """The error of an engine that was closed.

    Args:
        backend: its name.
    """
    return BackendError(f"The engine of {backend} is closed: open another one.")
