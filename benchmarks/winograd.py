"""The three networks on the CPU: Winograd convolutions (ncnn) against torch eager and ONNX Runtime.

One slice alone, and a volume of several different slices, none of them empty. Variants take turns in random order;
quoted is the median over rounds of the ratio within a round. Beside it stand the machine's ceilings in the same run:
sgemm, which direct convolutions cannot pass, and a copy. F(4x4) needs a quarter of the 3x3 products and can pass it.
Every output is compared with torch in float64 first, and nothing is timed if one is off by more than twice what eager
is, or names other pixels a lesion. The last line of the output is JSON.

    python benchmarks/winograd.py --width 64 --size 256 --rounds 5 --slices 5
"""

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from chain import GFLOP_FULL, inputs, random_chain, sgemm_gflops
from chain import variants as chain_variants
from numpy.typing import NDArray

from ctpdeploy.runtime.preprocess import SliceBatch
from ctpdeploy.runtime.window import PerfusionWindow
from ctpdeploy.runtime.winograd.engine import NAME, NcnnEngine
from ctpdeploy.runtime.winograd.graph import read_graph
from ctpdeploy.train.networks.chain import Chain

Array = NDArray[np.float32]
Variant = Callable[[torch.Tensor, torch.Tensor], Array]

EAGER, ORT, LIMIT = "torch eager", "onnxruntime", 2.0
AGREEMENT = 0.999
"""Share of pixels that have to have float64's label."""


def copy_gb_per_s(megabytes: int = 256) -> float:
    """Bytes read and written by a copy."""
    source = torch.ones(megabytes << 18)
    target, start = torch.empty_like(source), time.perf_counter()
    for _ in range(4):
        target.copy_(source)
    return 8e-9 * source.nbytes / (time.perf_counter() - start)


def variants(chain: Chain, size: int) -> dict[str, Variant]:
    """Each takes the slices of a volume and returns their probability of lesion."""
    with tempfile.TemporaryDirectory() as folder:
        direct = chain_variants(chain, size, Path(folder))
        engine = NcnnEngine(read_graph(Path(folder, "pipeline.onnx").read_bytes()))
    last = copy.deepcopy(chain).to(memory_format=torch.channels_last)
    no_window = PerfusionWindow(start=0, end=0, frames=(), curve=np.empty(0))

    def channels_last(*tensors: torch.Tensor) -> Array:
        with torch.inference_mode():
            given = [tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors]
            return last(*given)["logits"].softmax(1)[:, 1].numpy()

    def winograd(frames: torch.Tensor, features: torch.Tensor) -> Array:
        batch = SliceBatch(frames=frames.numpy(), features=features.numpy(), window=no_window)
        return engine.run(batch).probability

    eager, ort = direct.values()
    one_by_one = {EAGER: eager, "torch channels-last": channels_last, ORT: ort}
    return {name: slice_by_slice(run) for name, run in one_by_one.items()} | {NAME: winograd}


def slice_by_slice(run: Variant) -> Variant:
    """A volume one slice after the other, which is what a batch is not slower than here."""
    return lambda *volume: np.concatenate([run(*slice_) for slice_ in zip(*(t.split(1) for t in volume), strict=True)])


def errors(runs: Mapping[str, Variant], chain: Chain, volume: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
    """Root mean square error of each variant against float64, in units of eager's.

    Raises:
        SystemExit: one is off.
    """
    double = copy.deepcopy(chain).double()
    with torch.inference_mode():
        truth = slice_by_slice(lambda *x: double(*(t.double() for t in x))["logits"].softmax(1)[:, 1].numpy())(*volume)
    outputs = {name: run(*volume) for name, run in runs.items()}
    found = {name: float(np.sqrt(np.square(output - truth).mean())) for name, output in outputs.items()}
    for name, output in outputs.items():
        same = ((output > 0.5) == (truth > 0.5)).mean()
        if not found[name] <= LIMIT * found[EAGER] or not same >= AGREEMENT:
            raise SystemExit(
                f"{name} is wrong by {found[name]:.1e} (eager {found[EAGER]:.1e}), {1 - same:.2%} of the labels: "
                "nothing is timed."
            )
    return {name: error / found[EAGER] for name, error in found.items()}


def seconds(
    runs: Mapping[str, Variant], volume: tuple[torch.Tensor, ...], rounds: int
) -> dict[str, NDArray[np.float64]]:
    """Time of each variant in each round."""
    order, taken = np.random.default_rng(0), {name: [] for name in runs}
    for _ in range(rounds):
        for name in order.permutation(list(runs)):
            start = time.perf_counter()
            runs[name](*volume)
            taken[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in taken.items()}


def summary(taken: Mapping[str, NDArray[np.float64]], slices: int, gflop: float) -> dict[str, dict[str, float]]:
    """Seconds for a slice, ratios within rounds, and effective speed: products of the direct sum by seconds."""
    return {
        name: {
            "seconds_median": round(float(np.median(values)) / slices, 4),
            "seconds_min": round(float(values.min()) / slices, 4),
            "times_eager": round(float(np.median(taken[EAGER] / values)), 3),
            "times_onnxruntime": round(float(np.median(taken[ORT] / values)), 3),
            "gflops": round(gflop * slices / float(np.median(values)), 1),
        }
        for name, values in taken.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 64), ("size", 256), ("rounds", 5), ("slices", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    chain, volume = random_chain(options.width, options.size), inputs(options.slices, options.size)
    runs = variants(chain, options.size)
    error = errors(runs, chain, volume)
    gflop = GFLOP_FULL * (options.width / 64) ** 2 * (options.size / 256) ** 2
    sgemm, copied, measured = [], [], {}
    for title, slices in (("one slice", 1), ("volume", options.slices)):
        sgemm.append(sgemm_gflops())
        copied.append(copy_gb_per_s())
        part = tuple(tensor[:slices] for tensor in volume)
        measured[title] = summary(seconds(runs, part, options.rounds), slices, gflop)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "onnxruntime", "ncnn")},
        **vars(options),
        "sgemm_gflops": [round(value, 1) for value in sgemm],
        "copy_gb_per_s": [round(value, 1) for value in copied],
        "load_average": round(os.getloadavg()[0], 2),
        "rms_error_of_probability_in_eagers": {name: round(value, 3) for name, value in error.items()},
        "measured": measured,
    }
    print(f"sgemm {result['sgemm_gflops']} GFLOP/s, copy {result['copy_gb_per_s']} GB/s, load {result['load_average']}")
    for title, table in measured.items():
        print(f"{title:<20} {'s/slice':>9} {'x eager':>8} {'x ort':>8} {'GFLOP/s':>8} {'error':>7}")
        for name, figures in table.items():
            taken, _, eager, ort, rate = figures.values()
            print(f"{name:<20} {taken:>9} {eager:>8} {ort:>8} {rate:>8} {error[name]:>7.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
