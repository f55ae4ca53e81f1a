"""The three networks on one slice: eager torch against the exported bundle in ONNX Runtime.

Variants take turns in random order; what is quoted is the median over rounds of the ratio within a round, which other
load on the machine disturbs least. Beside it stand the machine's own speed (sgemm) and the error of each variant
against torch in float64, measured in the same run. The last line of the output is JSON.

    python benchmarks/chain.py --width 64 --size 256 --rounds 7
"""

import argparse
import copy
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from ctpdeploy.export.fold import fold
from ctpdeploy.export.graph import export_network, merge_pipeline
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks.chain import Chain, source_channels
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.systems import SYSTEMS

FRAMES = TrainConfig().preprocess.frames

GFLOP_FULL = 289.3
"""Of a 256 x 256 slice at width 64: twice the multiplications of all convolutions of the three networks."""


def random_chain(width: int, size: int) -> Chain:
    """Random weights of sensible scale, with running statistics from a few batches of texture."""
    torch.manual_seed(0)
    chain = make_chain(SYSTEMS["dwi_olh"], TrainConfig(width=width))
    for parameter in chain.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    chain.train()
    with torch.no_grad():
        for _ in range(3):
            chain(*inputs(2, min(size, 64)))
    return chain.eval()


def inputs(slices: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth texture inside an ellipse, air outside."""
    axis = torch.linspace(-1, 1, size)
    inside = (axis[:, None] ** 2 / 0.7 + axis[None, :] ** 2 / 0.5 < 1).float()
    smooth = torch.nn.AvgPool2d(9, 1, 4)
    frames, features = (smooth(torch.rand(slices, channels, size, size)) * inside for channels in (6, 5))
    return frames, features


def sgemm_gflops(seconds: float = 0.5, n: int = 1024) -> float:
    """The machine's own speed at this moment."""
    a, b = torch.rand(n, n), torch.rand(n, n)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        count += 1
    return 2e-9 * n**3 * count / (time.perf_counter() - start)


def variants(chain: Chain, size: int, folder: Path) -> dict[str, Callable[[torch.Tensor, torch.Tensor], np.ndarray]]:
    """Each takes frames and features and returns the probability of lesion."""
    folded = fold(chain)
    models = {
        role: export_network(
            folded.get_submodule(role),
            shape=(source_channels(sees, FRAMES), size, size),
            inputs="x",
            outputs="y",
        )
        for role, sees in chain.wiring.items()
    }
    onnx.save(merge_pipeline(models, chain.wiring, frames=FRAMES), folder / "pipeline.onnx")
    session = onnxruntime.InferenceSession(folder / "pipeline.onnx", providers=["CPUExecutionProvider"])

    def eager(frames: torch.Tensor, features: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return chain(frames, features)["logits"].softmax(1)[:, 1].numpy()

    def ort(frames: torch.Tensor, features: torch.Tensor) -> np.ndarray:
        names = [value.name for value in session.get_inputs()]
        feeds = dict(zip(names, (frames.numpy(), features.numpy()), strict=True))
        return session.run(["probability"], feeds)[0]

    return {"torch eager": eager, "onnxruntime, folded": ort}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    chain, slice_ = random_chain(options.width, options.size), inputs(1, options.size)
    with torch.inference_mode():
        reference = copy.deepcopy(chain).double()(*(x.double() for x in slice_))["logits"].softmax(1)[:, 1].numpy()
    with tempfile.TemporaryDirectory() as folder:
        runs = variants(chain, options.size, Path(folder))
        errors = {name: float(np.abs(run(*slice_) - reference).max()) for name, run in runs.items()}
        limit = 4 * errors["torch eager"]
        for name, error in errors.items():
            if not error <= limit:
                raise SystemExit(
                    f"{name} is wrong by {error:.1e}, eager by {errors['torch eager']:.1e}: nothing is timed."
                )
        order, seconds, sgemm = np.random.default_rng(0), {name: [] for name in runs}, []
        for _ in range(options.rounds):
            sgemm.append(sgemm_gflops())
            for name in order.permutation(list(runs)):
                start = time.perf_counter()
                runs[name](*slice_)
                seconds[name].append(time.perf_counter() - start)
    eager = np.array(seconds["torch eager"])
    gflop = GFLOP_FULL * (options.width / 64) ** 2 * (options.size / 256) ** 2
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
        "width": options.width,
        "size": options.size,
        "rounds": options.rounds,
        "sgemm_gflops_median": round(float(np.median(sgemm)), 1),
        "load_average": round(os.getloadavg()[0], 2),
        "variants": {
            name: {
                "seconds_median": round(float(np.median(values)), 4),
                "seconds_min": round(min(values), 4),
                "times_eager": round(float(np.median(eager / np.array(values))), 3),
                "gflops": round(gflop / float(np.median(values)), 1),
                "max_error_against_float64": errors[name],
            }
            for name, values in seconds.items()
        },
    }
    print(f"sgemm {result['sgemm_gflops_median']} GFLOP/s, load {result['load_average']}")
    print(f"{'variant':<22} {'median s':>9} {'x eager':>8} {'GFLOP/s':>8} {'error':>9}")
    for name, figures in result["variants"].items():
        seconds_median, _, ratio, rate, error = figures.values()
        print(f"{name:<22} {seconds_median:>9} {ratio:>8} {rate:>8} {error:>9.1e}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
