"""Engines of bundles: taken from the cache, or else parsed, proved, built and kept."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.driver import probe
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.build_options import BuildOptions
from ctpdeploy.runtime.backends.trt.callbacks import Progress
from ctpdeploy.runtime.backends.trt.engine_cache import EngineCache, Entry
from ctpdeploy.runtime.backends.trt.inspector import inspect_engine, prove_engine
from ctpdeploy.runtime.backends.trt.packages import TensorRTPackage, cuda_of, load
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import prove
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["WarmEngine", "ingredients", "key_of", "warm_up"]


@dataclass(frozen=True, kw_only=True)
class WarmEngine:
    """An engine that is ready.

    Attributes:
        entry: in the cache. Its facts are the ``ingredients`` of its key, the ``layers`` that prove its precision,
            the ``engine_layers`` of its inspector (None without its GPU), and the seconds that it took.
        built: it was not there before.
        rebuilt_because: why the one that was there must not be used.
    """

    entry: Entry
    built: bool
    rebuilt_because: str | None = None


def warm_up(
    bundle: Bundle, package: TensorRTPackage, options: BuildOptions, cache: EngineCache, progress: Progress
) -> WarmEngine:
    """Ensure that the engine of a bundle is in the cache.

    Args:
        bundle: its merged network is built.
        package: the package that builds.
        options: GPUs, batch sizes, precision and effort.
        cache: where engines are kept.
        progress: called with the share that is built.

    Raises:
        BackendError: the package refuses the network, or the network is not of the requested precision.
        InputError: the bundle is damaged.
        UsageError: the cache cannot be written.
    """
    trt = load(package)
    onnx = bundle.network_content(PIPELINE)
    parts = ingredients(trt, package, onnx, options)
    key, refused = key_of(parts), None
    try:
        if (entry := cache.read(key)) is not None:
            return WarmEngine(entry=entry, built=False)
    except BackendError as error:
        refused = str(error)
    network = bundle.networks[PIPELINE]
    start = time.perf_counter()
    parsed = parse(trt, onnx, inputs=network.inputs, outputs=network.outputs)
    layers = prove(parsed.network, options.precision)
    parsed_at = time.perf_counter()
    timings_key = key_of({name: parts[name] for name in ("format", "module", "version", "cuda", "target")})
    timings = None if package.portable else _kept_timings(cache, timings_key)
    result = build(parsed, options, progress, timings=timings)
    seconds = {"parse": parsed_at - start, "build": time.perf_counter() - parsed_at}
    if result.timings is not None:
        cache.write(timings_key, {"timings_of": parts["target"]}, result.timings)
    facts = {
        "ingredients": parts,
        "layers": layers,
        "engine_layers": _inspected_formats(trt, result.engine, options),
        "seconds": seconds,
    }
    return WarmEngine(entry=cache.write(key, facts, result.engine), built=True, rebuilt_because=refused)


def _inspected_formats(trt: ModuleType, engine: bytes, options: BuildOptions) -> dict[str, int] | None:
    """Number formats of a new engine's layers, of its inspector; None where no GPU that it is for is there."""
    try:
        here = probe().gpus[0]
    except BackendError:
        return None
    if options.target.gpu != here and here.compute_capability not in options.target.capabilities:
        return None
    return prove_engine(inspect_engine(trt, engine), options.precision)


def ingredients(trt: ModuleType, package: TensorRTPackage, onnx: bytes, options: BuildOptions) -> dict[str, Any]:
    """All that an engine depends on; a change of any of these needs another engine."""
    return {
        "format": 3,  # of the entries, and of how this code builds
        "onnx": hashlib.sha256(onnx).hexdigest(),
        "precision": options.precision,
        "slices": list(options.slices),
        "optimisation_level": options.optimisation_level,
        "module": package.module,
        "version": trt.__version__,
        "cuda": cuda_of(package),
        "target": asdict(options.target),
    }


def key_of(parts: Mapping[str, Any]) -> str:
    """Name of an entry: SHA-256 over its ingredients."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _kept_timings(cache: EngineCache, key: str) -> bytes:
    """Timings of the last build on this GPU; they only save time, so an unfit entry counts as none."""
    try:
        entry = cache.read(key)
    except BackendError:
        return b""
    return b"" if entry is None else entry.content
