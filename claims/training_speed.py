r"""``ctpdeploy train`` against an older checkout of it, per slice of an epoch: the same cases, turn by turn.

Each turn is a run of a few epochs of each checkout's own preset, with whatever settings are named for it, in a process
of its own and on one thread. Counted is the time of each epoch but the first, as the run wrote it down, validation
included, by the slices that are trained on; of a turn the median. Quoted is the median over rounds of the ratio within
a round, which other load on the machine disturbs least. The last line of the output is JSON.

    git worktree add ../old 1dc9d10
    python claims/training_speed.py --old ../old --cases 12 --rounds 5
    python claims/training_speed.py --old ../old --cases 2 --size 256 --slices 2 --rounds 3 --set width=64 \
      --old-set preprocess.slice_shape=[256,256] --new-set preprocess.slice_shape=[208,160] \
      --new-set preprocess.pixel_mm=1
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.quantiles import Quantiles

HERE = Path(__file__).parents[1]
EPOCHS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, required=True, help="root of the older checkout")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--size", type=int, default=128, help="rows and columns of the cases")
    parser.add_argument("--slices", type=int, default=8, help="of each case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="a setting of both")
    parser.add_argument("--old-set", action="append", default=[], help="a setting of the older one")
    parser.add_argument("--new-set", action="append", default=[], help="a setting of this one")
    options = parser.parse_args()
    trees = {"old": options.old.resolve(), "new": HERE}
    settings = {"old": [*options.set, *options.old_set], "new": [*options.set, *options.new_set]}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        _command(HERE, "phantom", data, "--cases", options.cases, "--size", options.size, "--seed", 1,
                 "--set", f"slices={options.slices}")  # fmt: skip

        def run(name: str) -> float:
            """A run of a checkout; milliseconds a slice."""
            out = Path(tempfile.mkdtemp(dir=folder), "run")
            changes = [word for setting in [f"epochs={EPOCHS}", *settings[name]] for word in ("--set", setting)]
            _command(trees[name], "train", data, "--out", out, "--preset", options.preset, *changes)
            return _per_slice(out, options.slices)

        milliseconds = interleave({name: partial(run, name) for name in trees}, rounds=options.rounds, seed=0)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "load_average": round(os.getloadavg()[0], 1),
        "preset": options.preset,
        "settings": settings,
        "cases": options.cases,
        "milliseconds_a_slice": {name: [round(value, 1) for value in taken] for name, taken in milliseconds.items()},
        "median_ms": {name: round(float(np.median(taken)), 1) for name, taken in milliseconds.items()},
        "times_faster": round(Quantiles.of_ratio(milliseconds["old"], milliseconds["new"]).p50, 2),
    }
    print(f"old {result['median_ms']['old']} ms, new {result['median_ms']['new']} ms: {result['times_faster']} times")
    print(json.dumps(result))


def _per_slice(run: Path, slices: int) -> float:
    """Milliseconds a training slice, median over the epochs but the first."""
    seconds = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    patients = json.loads((run / "split.json").read_text())["train"]
    return float(np.median(seconds[1:])) * 1e3 / (slices * len(patients))


def _command(tree: Path, *arguments: object) -> None:
    """A command of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": "/nonexistent"}
    words = [sys.executable, "-m", "ctpdeploy", *map(str, arguments)]
    subprocess.run(words, check=True, cwd=tree, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
