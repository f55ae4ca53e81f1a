"""Checks before a figure counts: right outputs, and the same ones by every way and in every round."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import GateError, GuardError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.engine import CaseEngine
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.gate.gate import reference_of, try_engine
from ctpdeploy.runtime.gate.verification import Comparison, limits_of
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import preprocess

__all__ = ["Steady", "require_right", "require_same_way"]

_SAME: Final = 1e-3
"""Change of a probability between rounds: far above rounding, far below the change to another slice."""
_DICE: Final = 0.999
"""Between two ways of one engine from case to mask, where the precision has no limit of its own."""


def require_right(bundle: Bundle, pipelines: Mapping[str, Pipeline]) -> dict[str, Comparison]:
    """Let every engine pass the gate with the reference that travels in the bundle.

    Returns:
        The comparisons, by backend.

    Raises:
        InputError: the reference is damaged.
        GateError: a limit does not hold; names each, with the figures.
    """
    reference = reference_of(bundle)
    trials = {name: try_engine(bundle, pipeline.engine, reference) for name, pipeline in pipelines.items()}
    if failures := [phrase for trial in trials.values() for phrase in trial.failures()]:
        raise _wrong(bundle.source, "; ".join(failures))
    return trials


def require_same_way(bundle: Bundle, name: str, pipeline: Pipeline, case: Case) -> None:
    """Compare an engine that takes raw cases with the same engine between the reference's pre- and postprocessing.

    Raises:
        GateError: their masks differ by more than the precision explains.
    """
    if not isinstance(pipeline.engine, CaseEngine):
        return
    outputs = pipeline.engine.run(preprocess(case, pipeline.config)[0])
    expected, _, _ = postprocess(outputs, case, pipeline.config)
    dice = agreement(pipeline.predict(case).mask, expected, 1.0).dice
    least = limits_of(bundle.precision, static_norm=bundle.static_norm).dice or _DICE
    if not dice >= least:
        why = f"{name} has a mask of Dice {dice:.4f} with what NumPy makes of the same networks, not {least}"
        raise _wrong(bundle.source, why)


class Steady:
    """Check that an engine's output for a case is the same in every round: a stale or mixed-up one is no speed."""

    def __init__(self) -> None:
        self._first: dict[str, NDArray[np.float32]] = {}

    def require(self, what: str, prediction: Prediction) -> None:
        """Compare with the first prediction.

        Args:
            what: backend and case.
            prediction: of this round.

        Raises:
            GuardError: a probability changed.
        """
        first = self._first.setdefault(what, prediction.probability)
        change = float(np.abs(prediction.probability - first).max())
        if not change <= _SAME:
            raise GuardError(
                f"{what} changes a probability by {change:.1e} from one run to the next: nothing of it is reported, "
                "do not use this backend here."
            )


def _wrong(source: Path, why: str) -> GateError:
    return GateError(f"{source} does not hold on this machine: {why}; nothing was timed.")
