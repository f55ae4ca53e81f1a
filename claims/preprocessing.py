"""q(t) and the maximum over time: one pass in the order of memory against the two reductions that are equal to it.

Variants take turns in random order; quoted are medians over rounds. The ceiling is a copy of the same series by
``numpy.copyto``, measured in the same rounds, which also writes what it reads. Bytes are those of the series, counted
once in both. Files that store left to right or front to back give series that run backwards in memory. The last line
of the output is JSON.

    python claims/preprocessing.py --rounds 15
"""

import argparse
import json
import os
import platform
import time

import numpy as np

from ctpdeploy.runtime.preprocess.temporal_summary import summarise

LAYOUTS = {"as stored": np.s_[:], "mirrored": np.s_[:, :, ::-1, ::-1]}


def two_reductions(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equations 1 and 2, term by term: q(t) and the maximum over time."""
    return series.reshape(len(series), -1).sum(axis=1, dtype=np.float64), series.max(axis=0)


def check(series: np.ndarray) -> None:
    """Both give the same."""
    (curve, maximum), summary = two_reductions(series), summarise(series)
    if not (np.array_equal(maximum, summary.maximum) and np.allclose(curve, summary.curve, rtol=1e-12)):
        raise SystemExit("The variants differ: nothing is timed.")


def measure(stored: np.ndarray, rounds: int) -> dict[str, float]:
    """Median gigabytes a second of each variant."""
    target = np.zeros_like(stored)
    variants = {"copy": lambda: np.copyto(target, stored)}
    for layout, view in LAYOUTS.items():
        check(stored[view])
        variants[f"two reductions, {layout}"] = lambda view=view: two_reductions(stored[view])
        variants[f"one pass, {layout}"] = lambda view=view: summarise(stored[view])
    order, seconds = np.random.default_rng(0), {name: [] for name in variants}
    for _ in range(rounds):
        for name in order.permutation(list(variants)):
            start = time.perf_counter()
            variants[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: round(1e-9 * stored.nbytes / float(np.median(values)), 2) for name, values in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=4, default=(40, 16, 256, 256), metavar=("T", "D", "H", "W"))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    series = np.random.default_rng(0).normal(40, 200, options.shape)
    results = {dtype: measure(series.astype(dtype), options.rounds) for dtype in ("float32", "int16")}
    for dtype, rates in results.items():
        for name, rate in rates.items():
            print(f"{dtype:<8} {name:<26} {rate:>6.2f} GB/s {rate / rates['copy']:>6.0%} of a copy")
    print(
        json.dumps(
            {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {"numpy": np.__version__},
                "shape": list(options.shape),
                "rounds": options.rounds,
                "load_average": round(os.getloadavg()[0], 2),
                "gigabytes_per_s": results,
            }
        )
    )


if __name__ == "__main__":
    main()
