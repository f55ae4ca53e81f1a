"""A case on the host: the reference way from a case to a finding, around any engine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ctpdeploy.runtime.backends.engine import CaseEngine, Engine
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import CaseOutputs
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

__all__ = ["run_case", "run_reference_path"]


def run_case(engine: Engine, case: Case, config: PreprocessConfig) -> CaseOutputs:
    """A case from raw to a mask: where the engine's networks run if it can, or else here.

    Raises:
        GuardError: the networks returned NaN or infinity.
        InputError, BackendError: as the engine.
    """
    if isinstance(engine, CaseEngine):
        return engine.run_case(case, config)
    return run_reference_path(engine, case, config)


def run_reference_path(engine: Engine, case: Case, config: PreprocessConfig) -> CaseOutputs:
    """Preprocess, run the networks of an engine, and postprocess.

    Raises:
        GuardError: the networks returned NaN or infinity.
        InputError, BackendError: as the engine.
    """
    seconds: dict[str, float] = {}
    with _stage(seconds, "preprocess"):
        batch, window = preprocess(case, config)
    with _stage(seconds, "networks"):
        outputs = engine.run(batch)
    with _stage(seconds, "postprocess"):
        mask, probability, pseudo_dwi = postprocess(outputs, case, config)
    return CaseOutputs(
        mask=mask,
        probability=probability,
        pseudo_dwi=pseudo_dwi,
        window=window,
        engine=engine.info,
        seconds=seconds,
    )


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
