"""ctpdeploy beside what else a user could run: the same networks on one slice, and a whole case from files to a mask.

In one run, taking turns in random order; quoted is the median over rounds of the ratio within a round. Each output is
compared with torch in float64 first: a peer that is off by more than four times what eager float32 is, or labels more
than one pixel in a thousand otherwise, is not timed, and if it is one of ctpdeploy's the run ends with exit code 6.
What is not installed is listed. Networks have random weights (see ``networks.py``); speed does not depend on them.

    python benchmarks/peers.py --out benchmarks/results/peers-MACHINE.json
    python benchmarks/peers.py --width 8 --size 128 --rounds 2        # a rehearsal
"""

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from networks import case_folder, gflop, random_bundle, random_chain
from numpy.typing import NDArray
from peer_cases import CASE_PEERS, SCRIPT, Job
from peer_networks import EAGER, ORT, PEERS, Lesion, Networks, on_slices

from ctpdeploy.benchmark.ceilings import measure_ceilings
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine, versions_of
from ctpdeploy.benchmark.quantiles import Quantiles, median_ratio
from ctpdeploy.benchmark.rounds import interleave, timed
from ctpdeploy.errors import BackendError, ExitCode
from ctpdeploy.runtime import Bundle, read_case
from ctpdeploy.runtime.preprocess import preprocess

LIMIT: Final = 4.0
"""Root mean square error of the probability, in eager's."""
FLIPPED: Final = 1e-3
"""Share of pixels that may have another label than float64's."""
FRAMES: Final = 45
OURS: Final = "ctpdeploy"
PACKAGES: Final = ("torch", "onnxruntime", "ncnn", "openvino", "monai", "nnunetv2", "nibabel", "SimpleITK")

Made = TypeVar("Made")
Given = TypeVar("Given")


def make_all(
    makers: Mapping[str, Callable[[Given], Made]], given: Given
) -> tuple[dict[str, Made], dict[str, str], dict[str, float]]:
    """What can be made, why the rest cannot, and how long each took."""
    made, missing, seconds = {}, {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            made[name] = make(given)
        except (ImportError, BackendError) as error:
            missing[name] = str(error)
        seconds[name] = time.perf_counter() - start
    return made, missing, seconds


def refuse(name: str, why: str, refused: dict[str, str]) -> None:
    """Leave out a peer; ours must not be wrong."""
    if name.startswith(OURS):
        print(f"{name} {why}: nothing is timed.", file=sys.stderr)
        raise SystemExit(ExitCode.GUARD)
    refused[name] = why


def measure_networks(networks: Networks, inputs: tuple[NDArray[np.float32], ...], rounds: int) -> dict[str, Any]:
    """One slice through the networks."""
    peers, missing, ready = make_all(PEERS, networks)
    double = on_slices(Lesion(copy.deepcopy(networks.chain).double()))
    truth = double(*(x.astype(np.float64) for x in inputs))
    errors, refused = {}, {}
    for name, run in peers.items():
        start = time.perf_counter()
        output = run(*inputs)
        ready[name] += time.perf_counter() - start
        errors[name] = float(np.sqrt(np.square(output - truth).mean()))
        flipped = float(((output > 0.5) != (truth > 0.5)).mean())
        if not errors[name] <= LIMIT * errors[EAGER] or not flipped <= FLIPPED:
            refuse(
                name,
                f"is off by {errors[name] / errors[EAGER]:.3g} times eager's error, {flipped:.2%} of labels",
                refused,
            )
    tasks = {name: timed(lambda run=run: run(*inputs)) for name, run in peers.items() if name not in refused}
    ceilings: list[Any] = []
    machine = {"the machine": lambda: ceilings.append(measure_ceilings()) or 0.0}
    taken = interleave(tasks | machine, rounds=rounds, seed=0, on_turn=say)
    return {
        "not_timed": missing | refused,
        "ceilings": ceilings,
        "peers": {
            name: {
                "seconds": Quantiles.of(taken[name]),
                "times_eager": median_ratio(taken[EAGER], taken[name]),
                "times_ort_cpu": median_ratio(taken[ORT], taken[name]),
                "rms_error_in_eagers": errors[name] / errors[EAGER],
                "ready_s": ready[name],
            }
            for name in tasks
        },
    }


def measure_cases(job: Job, rounds: int) -> dict[str, Any]:
    """A whole case, files to mask."""
    peers, missing, _ = make_all(CASE_PEERS, job)
    double = on_slices(Lesion(copy.deepcopy(job.networks.chain).double()))
    batch = preprocess(read_case(job.folder), job.networks.bundle.preprocess)
    truth = np.concatenate(
        [
            double(frames[None].astype(np.float64), features[None].astype(np.float64)) > 0.5
            for frames, features in zip(batch.frames, batch.features, strict=True)
        ]
    )
    refused: dict[str, str] = {}
    for name, run in peers.items():
        flipped = float((run()[1] != truth).mean())
        if not flipped <= FLIPPED:
            refuse(name, f"labels {flipped:.2%} of the voxels otherwise", refused)
    tasks = {name: (lambda run=run: run()[0]) for name, run in peers.items() if name not in refused}
    taken = interleave(tasks, rounds=rounds, seed=1, on_turn=say)
    return {
        "not_timed": missing | refused,
        "slices": len(truth),
        "lesion_voxels": int(truth.sum()),
        "peers": {
            name: {"seconds": Quantiles.of(taken[name]), "times_script": median_ratio(taken[SCRIPT], taken[name])}
            for name in tasks
        },
    }


def say(text: str) -> None:
    """What goes on, on stderr."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr)


def plain(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Dataclasses as dictionaries, floats with four significant digits."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="of the networks; 64 is the source's")
    parser.add_argument("--size", type=int, default=256, help="rows and columns, a multiple of 16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=4, help="of the whole case")
    parser.add_argument("--work", type=Path, help="where networks and cases are kept for the next time")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(describe_machine()["cores"])
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        say("networks with random weights, and their bundle")
        chain = random_chain(work, width=options.width, size=options.size)
        bundle = random_bundle(work, width=options.width, size=options.size)
        folder = case_folder(work, size=options.size, slices=options.slices, frames=FRAMES)
        with Bundle.open(bundle) as opened:
            networks = Networks(chain=chain, bundle=opened)
            batch = preprocess(read_case(folder), opened.preprocess)
            middle = slice(options.slices // 2, options.slices // 2 + 1)
            load = OtherLoad()
            slice_ = measure_networks(networks, (batch.frames[middle], batch.features[middle]), options.rounds)
            case = measure_cases(Job(networks=networks, folder=folder, scratch=Path(scratch)), options.rounds)
    ceilings = slice_.pop("ceilings")
    machine = describe_machine()
    result = plain(
        {
            "machine": machine | {"versions": machine["versions"] | versions_of(*PACKAGES)},
            "width": options.width,
            "size": options.size,
            "rounds": options.rounds,
            "gflop_a_slice": gflop(options.width, options.size),
            "sgemm_gflops": Quantiles.of([x.sgemm_gflops for x in ceilings]),
            "copy_gb_per_s": Quantiles.of([x.copy_gb_per_s for x in ceilings]),
            "other_cores": load.cores(),
            "one_slice": slice_,
            "whole_case": case,
        }
    )
    text = json.dumps(result, indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
