"""All backends of this machine on one bundle: the gate for each, then their speed, in turns."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from ctpdeploy.errors import BackendError, GateError, GuardError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.runtime.backends.timings import Speeds, measure_speeds
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.gate.gate import reference_of, slices_of, try_engine
from ctpdeploy.runtime.gate.preprocessing import require_preprocessing, try_case
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.runtime.gate.verification import Comparison

__all__ = ["ROUNDS", "Ranking", "rank_backends"]

ROUNDS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The speeds of the backends that can run here, and the failures of the others.

    Attributes:
        speeds: of those that passed the gate.
        trials: comparison of each with the reference, those that failed the gate among them.
        refused: reason why a backend does not run, or may not, by its name.
    """

    speeds: Speeds
    trials: Mapping[str, Comparison]
    refused: Mapping[str, str]


def rank_backends(bundle: Bundle, progress: Callable[[str, float], None]) -> Ranking:
    """Open every backend that can run here, pass the gate with it, and time those that hold.

    All are open at once, so that they can take turns: the memory of all is taken until this returns.

    Args:
        bundle: whose networks run, on the slices that travel in it.
        progress: called with the step under way and the share that is done.

    Raises:
        BackendError: no backend can run here.
        GateError: none of those that run holds the limits of the gate, or preprocessing gives other inputs.
        InputError: the reference in the bundle is damaged.
    """
    require_preprocessing(bundle)
    reference, names = reference_of(bundle), list(BACKENDS)
    engines, trials, refused = dict[str, Engine](), dict[str, Comparison](), dict[str, str]()
    with ExitStack() as opened:
        for i, name in enumerate(names):
            progress(name, 0.5 * i / len(names))
            try:
                engine = _open(bundle, name)
                opened.callback(engine.close)
                trials[name] = try_engine(bundle, engine, reference)
                failures = [*trials[name].failures(), *_of_the_raw_case(bundle, engine, reference)]
            except (BackendError, GuardError) as error:
                refused[name] = str(error)
                continue
            if failures:
                refused[name] = f"The gate does not hold: {'; '.join(failures)}."
            else:
                engines[name] = engine
        if not engines:
            raise _none(trials, refused)
        runs, done = ROUNDS * len(engines), iter(range(ROUNDS * len(engines)))
        speeds = measure_speeds(
            engines, slices_of(reference), lambda name: progress(name, 0.5 + 0.5 * next(done) / runs), rounds=ROUNDS
        )
    return Ranking(speeds=speeds, trials=trials, refused=refused)


def _open(bundle: Bundle, name: str) -> Engine:
    """The engine of a backend, or a BackendError with nothing but the reason, since a table has the name."""
    if (reason := BACKENDS[name].refusal()) is not None:
        raise BackendError(reason)
    return BACKENDS[name].opened(bundle, name)


def _of_the_raw_case(bundle: Bundle, engine: Engine, reference: Reference) -> list[str]:
    """What does not hold from the raw case to a mask."""
    return [] if reference.raw is None else try_case(bundle, engine, reference, reference.raw).failures()


def _none(trials: Mapping[str, Comparison], refused: Mapping[str, str]) -> GateError | BackendError:
    """The error for the case that no backend is left."""
    why = " ".join(f"{name}: {reason}" for name, reason in refused.items())
    return GateError(f"No backend holds here. {why}") if trials else BackendError(f"No backend can run here. {why}")
