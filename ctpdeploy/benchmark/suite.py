"""All that is measured of a bundle, in one run: checked, interleaved, and beside the machine's own speed."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ctpdeploy.benchmark.checks import require_right, require_same_way
from ctpdeploy.benchmark.interleave import interleave, rounds_within
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.measurements import BackendTurns, Turns
from ctpdeploy.benchmark.processes import ProcessRun, run_infer
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.benchmark.results import BackendResults, Check, FrameCost, Results, SliceCost
from ctpdeploy.benchmark.stages import run_folder
from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime import Bundle, CaseRef, Pipeline
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.bundle.trust import Signer
from ctpdeploy.runtime.gate.reference import CHAIN
from ctpdeploy.runtime.gate.verification import Comparison

__all__ = ["Plan", "chosen_backends", "run_benchmark"]

Progress = Callable[[str, float], None]

_BUDGET_S: Final = 45.0
"""For the rounds, where their number is not given."""
_CHECKED, _TIMED, _PROCESSES = 0.2, 0.7, 0.85
"""Shares of the whole that are done when all is checked, when the rounds are over, and when processes begin."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Plan of a benchmark.

    Attributes:
        bundle: folder or zip.
        cases: of different names: the first is measured in detail, throughput over all.
        synthetic: whether they are made of equations.
        backends: names, the first of which the others are compared with.
        rounds: how many; as many as fit into a time if None.
        seed: of the order of turns.
        signer: who has to have signed the bundle, as for ``Bundle.open``.
    """

    bundle: Path
    cases: Sequence[CaseRef]
    synthetic: bool
    backends: Sequence[str]
    rounds: int | None = None
    seed: int = 0
    signer: Signer = None


def chosen_backends(names: Sequence[str]) -> list[str]:
    """The requested backends, in the order given, or else all that can run here.

    Raises:
        UsageError: one is named twice.
        BackendError: none is named and none can run.
    """
    if names:
        if len(set(names)) < len(names):
            raise UsageError(f"A backend is named twice among {', '.join(names)}: name each once.")
        return list(names)
    reasons = {name: backend.refusal() for name, backend in BACKENDS.items()}
    found = [name for name, reason in reasons.items() if reason is None]
    if not found:
        raise BackendError("No backend can run here. " + " ".join(f"{name}: {why}" for name, why in reasons.items()))
    return found


def run_benchmark(plan: Plan, progress: Progress = lambda *_: None) -> Results:
    """Check, then measure.

    Args:
        plan: of the benchmark.
        progress: called with the step under way and the share that is done.

    Raises:
        InputError: bundle or case is refused.
        UsageError: no backend has this name.
        BackendError: a backend cannot run it.
        GateError: an engine's outputs are not those of the trained networks; nothing was timed.
        GuardError: an engine's outputs changed between rounds.
    """
    start, load = time.perf_counter(), OtherLoad()
    with ExitStack() as opened:
        bundle = opened.enter_context(Bundle.open(plan.bundle, plan.signer))
        scratch = opened.enter_context(tempfile.TemporaryDirectory())
        pipelines, open_s = {}, {}
        for name in plan.backends:
            progress(f"opening {name}", 0.0)
            before = time.perf_counter()
            pipeline = Pipeline(open_engine(bundle, name), bundle.preprocess, perfusion=bundle.perfusion)
            pipelines[name] = opened.enter_context(pipeline)
            open_s[name] = time.perf_counter() - before
        progress("checking outputs against float64", 0.05)
        trials = require_right(bundle, pipelines)
        turns = Turns(bundle, pipelines, plan.cases[0], Path(scratch))
        for name, pipeline in pipelines.items():
            require_same_way(bundle, name, pipeline, turns.case)
        rounds = _take_turns(turns, plan, progress)
        folder_case_s: dict[str, float] = {}
        for name, pipeline in pipelines.items():
            progress(f"a folder of {len(plan.cases)} cases with {name}", _TIMED)
            folder_case_s[name] = run_folder(pipeline, plan.cases, Path(scratch) / name)
        described = {
            "name": plan.bundle.resolve().name,
            "sha256": bundle.sha256,
            "system": bundle.system,
            "precision": bundle.precision,
        }
    processes = _run_processes(plan, progress)
    first = turns.backends[plan.backends[0]]
    return Results(
        machine=describe_machine(),
        bundle=described,
        case=_describe_case(plan, turns),
        folder_cases=len(plan.cases),
        rounds=rounds,
        seed=plan.seed,
        seconds=time.perf_counter() - start,
        sgemm_gflops=Quantiles.of([ceilings.sgemm_gflops for ceilings in turns.ceilings]),
        copy_gb_per_s=Quantiles.of([ceilings.copy_gb_per_s for ceilings in turns.ceilings]),
        other_cores=load.cores(),
        by_frames=tuple(
            FrameCost(
                frames=count,
                read_s=_median(taken.read),
                checks_s=_median(taken.checks),
                preprocess_s=_median(taken.preprocess),
            )
            for count, taken in turns.frames.items()
        ),
        backends={
            name: _backend_results(
                turns.backends[name],
                first,
                engine=pipeline.engine.info,
                check=_check(trials[name]),
                open_s=open_s[name],
                folder_case_s=folder_case_s[name],
                process=processes[name],
            )
            for name, pipeline in pipelines.items()
        },
    )


def _take_turns(turns: Turns, plan: Plan, progress: Progress) -> int:
    """Run the rounds; returns how many."""
    progress("warming up", 0.15)
    seconds_a_round = turns.warm_up()
    rounds = plan.rounds or rounds_within(_BUDGET_S, seconds_a_round)
    tasks, taken = turns.tasks(), 0

    def show(whose: str) -> None:
        nonlocal taken
        done = taken / (rounds * len(tasks))
        progress(f"round {taken // len(tasks) + 1} of {rounds}: {whose}", _CHECKED + (_TIMED - _CHECKED) * done)
        taken += 1

    interleave(tasks, rounds=rounds, seed=plan.seed, on_turn=show)
    return rounds


def _run_processes(plan: Plan, progress: Progress) -> dict[str, ProcessRun]:
    """A new process of each backend."""
    found: dict[str, ProcessRun] = {}
    for name in plan.backends:
        progress(f"a new process with {name}", _PROCESSES + (1 - _PROCESSES) * len(found) / len(plan.backends))
        found[name] = run_infer(plan.bundle, plan.cases[0], name, plan.signer)
    return found


def _backend_results(turns: BackendTurns, first: BackendTurns, **others: Any) -> BackendResults:  # noqa: ANN401
    """Figures of a backend, compared with the first one's round by round."""
    walls = [run.wall for run in turns.files]
    alone = {role: _median(seconds) for role, seconds in turns.alone.items()}
    most = max(turns.latency)
    return BackendResults(
        **others,
        files_s=Quantiles.of(walls),
        stages_s={stage: _median([run.seconds[stage] for run in turns.files]) for stage in turns.files[0].seconds},
        unaccounted=_median([run.unaccounted for run in turns.files]),
        networks_share={role: seconds / sum(alone.values()) for role, seconds in alone.items()},
        by_slices=tuple(
            SliceCost(slices=count, latency_s=Quantiles.of(seconds), networks_s=_median(turns.networks[count]))
            for count, seconds in turns.latency.items()
        ),
        times_first={
            "one slice": Quantiles.of_ratio(first.latency[1], turns.latency[1]),
            "all slices": Quantiles.of_ratio(first.latency[most], turns.latency[most]),
            "files to files": Quantiles.of_ratio([run.wall for run in first.files], walls),
        },
    )


def _check(trial: Comparison) -> Check:
    (chain,) = (check for check in trial.checks if check.tensor == CHAIN)
    return Check(
        times_eager_error=chain.rms_error / chain.eager_rms_error,
        flips=trial.flips,
        lesion_pixels=trial.lesion,
        dice=trial.dice,
    )


def _describe_case(plan: Plan, turns: Turns) -> Mapping[str, Any]:
    frames, slices, rows, columns = turns.case.series.shape
    name = "synthetic" if plan.synthetic else plan.cases[0].name
    return {
        "name": name,
        "synthetic": plan.synthetic,
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "frames": frames,
    }


def _median(values: Sequence[float]) -> float:
    return Quantiles.of(values).p50
