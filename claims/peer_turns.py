"""Ways to run the same networks, checked first and then timed in turns.

Each output is compared with torch in float64: a peer that is off by more than four times what eager float32 is, or
labels more than one pixel in a thousand otherwise, is not timed; if it is one of ctpdeploy's, nothing is.
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from peer_cases import SCRIPT, Job
from peer_cases import Run as CaseRun
from peer_networks import EAGER, ORT, OURS, Lesion, Networks, Peer, on_slices
from turns import Measured, take_turns

from ctpdeploy.benchmark.interleave import timed
from ctpdeploy.errors import GuardError
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.preprocess.preprocess import preprocess
from ctpdeploy.train.networks.chain import Chain

__all__ = ["make_all", "measure_cases", "measure_networks", "refuse"]

LIMIT: Final = 4.0
"""Root mean square error of the probability, in eager's."""
FLIPPED: Final = 1e-3
"""Share of pixels that may have another label than float64's."""

Made = TypeVar("Made")
Given = TypeVar("Given")
Say = Callable[[str], None]


def measure_networks(
    makers: Mapping[str, Callable[[Networks], Peer]],
    networks: Networks,
    inputs: tuple[NDArray[np.float32], ...],
    *,
    gflop: float,
    rounds: int,
    say: Say,
) -> Measured:
    """One slice through the networks.

    Args:
        makers: of the peers, among them eager torch.
        networks: to run.
        inputs: frames ``(1, F, H, W)`` and features ``(1, 5, H, W)``.
        gflop: of direct convolutions.
        rounds: how many.
        say: called with the step under way.

    Raises:
        GuardError: one of ctpdeploy's is wrong.
        BackendError: one of ctpdeploy's refuses the networks.
    """
    peers, missing, ready = make_all(makers, networks)
    truth = _in_float64(networks.chain)(*(x.astype(np.float64) for x in inputs))
    errors, refused = {}, {}
    for name, run in peers.items():
        start = time.perf_counter()
        try:
            output = run(*inputs)
        except RuntimeError as error:  # torch compiles in the first run, if there is a compiler
            if name in OURS:
                raise
            missing[name] = str(error).strip().split("\n", 1)[0]
            continue
        ready[name] += time.perf_counter() - start
        errors[name] = float(np.sqrt(np.square(output - truth).mean()))
        flipped = _flipped(output > 0.5, truth > 0.5)
        if not errors[name] <= LIMIT * errors[EAGER] or not flipped <= FLIPPED:
            times = errors[name] / errors[EAGER]
            refuse(name, f"is off by {times:.3g} times eager's error, {flipped:.2%} of labels", refused)
    tasks = {name: timed(lambda run=peers[name]: run(*inputs)) for name in errors if name not in refused}
    references = {"times_eager": EAGER, "times_ort_cpu": ORT}
    found = take_turns(tasks, references=references, gflop=gflop, rounds=rounds, seed=0, say=say)
    for name, figures in found.figures["peers"].items():
        figures |= {"rms_error_in_eagers": errors[name] / errors[EAGER], "ready_s": ready[name]}
    return Measured(figures={"not_timed": missing | refused} | found.figures, machine=found.machine)


def measure_cases(
    makers: Mapping[str, Callable[[Job], CaseRun]], job: Job, *, gflop: float, rounds: int, say: Say
) -> Measured:
    """A whole case, files to mask.

    Args:
        makers: of the peers.
        job: case and networks.
        gflop: of direct convolutions, of a slice.
        rounds: how many.
        say: called with the step under way.

    Raises:
        GuardError: one of ctpdeploy's is wrong.
        BackendError: one of ctpdeploy's refuses the networks.
    """
    peers, missing, _ = make_all(makers, job)
    batch = preprocess(read_case(job.folder), job.networks.bundle.preprocess)[0]
    slices = [x[:, None].astype(np.float64) for x in (batch.frames, batch.features)]
    double = _in_float64(job.networks.chain)
    truth = np.concatenate([double(*inputs) > 0.5 for inputs in zip(*slices, strict=True)])
    refused: dict[str, str] = {}
    for name, run in peers.items():
        flipped = _flipped(run()[1], truth)
        if not flipped <= FLIPPED:
            refuse(name, f"labels {flipped:.2%} of the voxels otherwise", refused)
    tasks = {name: (lambda run=run: run()[0]) for name, run in peers.items() if name not in refused}
    references = {"times_script": SCRIPT}
    found = take_turns(tasks, references=references, gflop=gflop * len(truth), rounds=rounds, seed=1, say=say)
    head = {"not_timed": missing | refused, "slices": len(truth), "lesion_voxels": int(truth.sum())}
    return Measured(figures=head | found.figures, machine=found.machine)


def make_all(
    makers: Mapping[str, Callable[[Given], Made]], given: Given
) -> tuple[dict[str, Made], dict[str, str], dict[str, float]]:
    """Peers that can be made, the reason for each that cannot, and seconds of each.

    Raises:
        BackendError: a backend of ctpdeploy that can run refuses the networks.
    """
    made, missing, seconds = {}, {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            made[name] = make(given)
        except ImportError as error:
            missing[name] = str(error)
        seconds[name] = time.perf_counter() - start
    return made, missing, seconds


def refuse(name: str, why: str, refused: dict[str, str]) -> None:
    """Leave out a peer.

    Raises:
        GuardError: it is one of ctpdeploy's, which must not be wrong.
    """
    if name in OURS:
        raise GuardError(f"{name} {why}: nothing is timed, do not use this backend here.")
    refused[name] = why


def _in_float64(chain: Chain) -> Peer:
    return on_slices(Lesion(copy.deepcopy(chain).double()))


def _flipped(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((mask != truth).mean())
