"""An engine behind which anybody's may be: what it raises is an error of ours, what it returns has the right shape."""

from ctpdeploy.runtime.backends.engine import CaseEngine, Engine
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs, require_outputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["CheckedEngine", "checked"]


class CheckedEngine(Engine):
    """An engine as its contract has it, whoever wrote it.

    Args:
        engine: that runs, and that this one owns from now on.
        name: of its backend, for the sentences.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        return self._engine.info

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        slices, _, *size = batch.features.shape
        with as_backend_error(f"The backend {self._name} fails to run the networks", _REMEDY):
            outputs = self._engine.run(batch)
            require_outputs(outputs, (slices, *size), where=f"on the backend {self._name}")
        return outputs

    def close(self) -> None:
        """Close the engine."""
        with as_backend_error(f"The backend {self._name} does not close", "end the process"):
            self._engine.close()


class _CheckedCaseEngine(CheckedEngine, CaseEngine):
    """The same around an engine that takes raw cases."""

    _engine: CaseEngine

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        """Preprocess, run the networks, and postprocess."""
        with as_backend_error(f"The backend {self._name} fails on {case.identifier}", _REMEDY):
            return self._engine.run_case(case, config)


_REMEDY = "free memory, or take another backend"


def checked(engine: Engine, name: str) -> CheckedEngine:
    """An engine that was just opened, with its checks.

    Args:
        engine: whose ``info`` can be read, or whatever that raises is raised.
        name: of its backend.
    """
    _ = engine.info.backend
    return (_CheckedCaseEngine if isinstance(engine, CaseEngine) else CheckedEngine)(engine, name)
