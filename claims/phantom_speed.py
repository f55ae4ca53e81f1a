"""``ctpdeploy phantom`` against an older checkout of it: the same command, the same parameters, turn by turn.

Each turn writes the same number of cases into an empty folder, by as many worker processes as the machine has cores,
start of the interpreters included; the order within a round is random. The patients are not the same, as a version
may draw others from a seed, but the shares of slices and frames are, so cases must be many. Quoted are medians, and the
median of the ratio within a round, which other load on the machine disturbs least, also of processor time. The ceiling
is the time to write the bytes alone. The last line of the output is JSON.

    git worktree add ../old 4cd6b5e
    python claims/phantom_speed.py --old ../old --cases 40 --rounds 5
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parents[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, required=True, help="root of the older checkout")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    order, trees = np.random.default_rng(0), {"old": options.old.resolve(), "new": HERE}
    seconds: dict[str, list[float]] = {name: [] for name in trees}
    processor: dict[str, list[float]] = {name: [] for name in trees}
    ceiling, volume = [], []
    for turn in range(options.rounds):
        for name in order.permutation(list(trees)):
            took, busy, written, wrote = command(trees[name], options.cases, options.size, seed=turn)
            seconds[name].append(took)
            processor[name].append(busy)
            if name == "new":
                ceiling.append(wrote)
                volume.append(written)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "cases": options.cases,
        "size": options.size,
        "seconds": {name: [round(value, 2) for value in took] for name, took in seconds.items()},
        "median_s": {name: round(float(np.median(took)), 2) for name, took in seconds.items()},
        "times_faster": _ratio(seconds),
        "processor_s": {name: [round(value, 2) for value in took] for name, took in processor.items()},
        "times_less_processor_time": _ratio(processor),
        "ceiling_s": round(float(np.median(ceiling)), 2),
        "megabytes": round(float(np.median(volume)), 1),
    }
    print(
        f"old {result['median_s']['old']} s, new {result['median_s']['new']} s: {result['times_faster']} times faster"
    )
    print(json.dumps(result))


def _ratio(values: dict[str, list[float]]) -> float:
    """Median over rounds of the old over the new."""
    return round(float(np.median(np.array(values["old"]) / np.array(values["new"]))), 2)


def command(tree: Path, cases: int, size: int, seed: int) -> tuple[float, float, float, float]:
    """Seconds of one command of a checkout, of processor time too, megabytes written, and seconds for these alone."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["phantom", f"{folder}/data", "--cases", f"{cases}", "--size", f"{size}", "--seed", f"{seed}"]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        before, start = _processor_seconds(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "ctpdeploy", *arguments],
            check=True,
            cwd=folder,
            env=environment,
            capture_output=True,
        )
        took, busy = time.perf_counter() - start, _processor_seconds() - before
        files = [file.read_bytes() for file in Path(folder, "data").rglob("*") if file.is_file()]
        start = time.perf_counter()
        for index, content in enumerate(files):
            Path(folder, f"{index}").write_bytes(content)
        return took, busy, sum(map(len, files)) / 1e6, time.perf_counter() - start


def _processor_seconds() -> float:
    """Of all processes that this one has waited for, and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
