"""Parse and build of the three networks with TensorRT-RTX, which needs no GPU: seconds, sizes and the types proved.

The build has no known ceiling; beside it stands the time to read the file, which no builder can beat. Weights
are random, so the figures have no meaning for segmentation. The last line of the output is JSON.

    python claims/engines.py --width 64 --size 256 --slices 1,8,32 --precision fp16
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import onnx
from networks import random_bundle

from ctpdeploy.export.half import to_half
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, BuildOptions, Target
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.packages import load
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import prove


def shapes(size: int) -> dict[str, dict[str, list[int | str]]]:
    """Inputs and outputs of the merged network."""
    image = ["N", 1, size, size]
    return {
        "inputs": {"frames": ["N", 6, size, size], "features": ["N", 5, size, size]},
        "outputs": {"extractor": image, "pseudo_dwi": image, "probability": ["N", size, size]},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", default="1,8,32")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32")
    parser.add_argument("--onnx", type=Path, help="a merged network, or where to keep the one that is exported")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.onnx or Path(folder) / "pipeline.onnx"
        if not file.exists():
            bundle = random_bundle(file.parent, width=options.width, size=options.size)
            (bundle / "pipeline.onnx").rename(file)
        start = time.perf_counter()
        network = file.read_bytes()
        read = time.perf_counter() - start
        if options.precision == "fp16":
            network = to_half(onnx.load_from_string(network)).SerializeToString()
    trt = load(TENSORRT_PACKAGES["tensorrt-rtx"])
    start = time.perf_counter()
    parsed = parse(trt, network, **shapes(options.size))
    layers = prove(parsed.network, options.precision)
    parsed_at = time.perf_counter()
    fewest, likely, most = map(int, options.slices.split(","))
    build_options = BuildOptions(target=Target(), slices=(fewest, likely, most), precision=options.precision)
    result = build(parsed, build_options, lambda text, share: None)  # noqa: ARG005
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"tensorrt_rtx": trt.__version__},
        "width": options.width,
        "size": options.size,
        "precision": options.precision,
        "slices": [fewest, likely, most],
        "load_average": round(os.getloadavg()[0], 2),
        "seconds": {
            "read": round(read, 2),
            "parse": round(parsed_at - start, 2),
            "build": round(time.perf_counter() - parsed_at, 2),
        },
        "megabytes": {"onnx": round(len(network) / 1e6, 1), "engine": round(len(result.engine) / 1e6, 1)},
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "layers": layers,
    }
    for name, value in result.items():
        print(f"{name:<16} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
