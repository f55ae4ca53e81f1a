"""ctpdeploy beside what else a user could run: the same networks on one slice, and a whole case from files to a mask.

In one run, taking turns in random order; quoted is the median over rounds of the ratio within a round, with the least
and the greatest, and how many times as fast as the machine's matrix product of the round each was. Outputs are checked
first; if one of ctpdeploy's is wrong, the run ends with exit code 6 (see ``peer_turns.py``). What is not installed is
listed. Networks have random weights (see ``networks.py``); speed does not depend on them.

    python claims/peers.py --out bench/peers.json
    python claims/peers.py --width 8 --size 128 --rounds 2        # a rehearsal
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from networks import case_folder, gflop, random_bundle, random_chain
from peer_cases import CASE_PEERS, Job, Run
from peer_networks import PEERS, Networks, Peer
from peer_turns import measure_cases, measure_networks
from published_results import SCHEMAS

from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.errors import CtpdeployError
from ctpdeploy.runtime import Bundle, read_case
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.preprocess.preprocess import preprocess

__all__ = ["measure", "plain"]

FRAMES: Final = 45
PACKAGES: Final = ("torch", "onnxruntime", "ncnn", "openvino", "monai", "nnunetv2", "nibabel", "SimpleITK")


def say(text: str) -> None:
    """Print the step under way, on stderr."""
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


def measure(
    networks: Networks,
    folder: Path,
    *,
    gflop: float,
    rounds: int,
    peers: Mapping[str, Callable[[Networks], Peer]] = PEERS,
    case_peers: Mapping[str, Callable[[Job], Run]] = CASE_PEERS,
) -> dict[str, Any]:
    """The middle slice of a case, then the whole case.

    Args:
        networks: to run.
        folder: of the case.
        gflop: of a slice in direct convolutions.
        rounds: how many.
        peers: makers of what runs a slice, among them eager torch.
        case_peers: makers of what runs a case.

    Raises:
        GuardError: a backend of ctpdeploy is wrong.
        BackendError: a backend of ctpdeploy refuses the networks.
    """
    batch, load = preprocess(read_case(folder), networks.bundle.preprocess)[0], OtherLoad()
    middle = slice(len(batch.frames) // 2, len(batch.frames) // 2 + 1)
    inputs = batch.frames[middle], batch.features[middle]
    one_slice = measure_networks(peers, networks, inputs, gflop=gflop, rounds=rounds, say=say)
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(networks=networks, folder=folder, scratch=Path(scratch))
        whole_case = measure_cases(case_peers, job, gflop=gflop, rounds=rounds, say=say)
    machine, ceilings = describe_machine(), one_slice.machine + whole_case.machine
    return {
        "schema": SCHEMAS["peers"],
        "machine": machine | {"versions": machine["versions"] | versions_of(*PACKAGES)},
        "rounds": rounds,
        "sgemm_gflops": Quantiles.of([x.sgemm_gflops for x in ceilings]),
        "copy_gb_per_s": Quantiles.of([x.copy_gb_per_s for x in ceilings]),
        "other_cores": load.cores(),
        "one_slice": one_slice.figures,
        "whole_case": whole_case.figures,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="of the networks; 64 is the source's")
    parser.add_argument("--size", type=int, default=256, help="rows and columns, a multiple of 16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slices", type=int, default=4, help="of the whole case")
    parser.add_argument("--work", type=Path, help="where networks and cases are kept for the next time")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    width, size = options.width, options.size
    torch.set_num_threads(describe_machine()["cores"])
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        say("networks with random weights, and their bundle")
        try:
            chain, bundle = (make(work, width=width, size=size) for make in (random_chain, random_bundle))
            folder = case_folder(work, size=size, slices=options.slices, frames=FRAMES)
            with Bundle.open(bundle) as opened:
                networks = Networks(chain=chain, bundle=opened)
                found = measure(networks, folder, gflop=gflop(width, size), rounds=options.rounds)
        except CtpdeployError as error:
            print(error, file=sys.stderr)
            raise SystemExit(error.exit_code) from None
    text = json.dumps(plain({"width": width, "size": size} | found), indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
