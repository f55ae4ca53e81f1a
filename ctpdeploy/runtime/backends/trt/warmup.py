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
from ctpdeploy.runtime.backends.trt.build_options import Recipe
from ctpdeploy.runtime.backends.trt.callbacks import Progress
from ctpdeploy.runtime.backends.trt.engine_cache import EngineStore, Entry
from ctpdeploy.runtime.backends.trt.inspector import ask_engine, prove_engine
from ctpdeploy.runtime.backends.trt.packages import Flavour, cuda_of, load
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import prove
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["WarmEngine", "ingredients", "key_of", "warm_up"]


@dataclass(frozen=True, kw_only=True)
class WarmEngine:
    """An engine that is ready.

    Attributes:
        entry: in the cache. Its facts are the ``ingredients`` of its key, the ``layers`` that prove its precision,
            the ``engine_layers`` that it tells of itself (None without its GPU), and the seconds that it took.
        built: it was not there before.
        rebuilt_because: why the one that was there must not be used.
    """

    entry: Entry
    built: bool
    rebuilt_because: str | None = None


def warm_up(bundle: Bundle, flavour: Flavour, recipe: Recipe, store: EngineStore, progress: Progress) -> WarmEngine:
    """Have the engine of a bundle in the cache.

    Args:
        bundle: its merged network is built.
        flavour: the package that builds.
        recipe: what to build.
        store: where engines are kept.
        progress: told how far the build is.

    Raises:
        BackendError: the package refuses the network, or the network is not of the precision asked for.
        InputError: the bundle is damaged.
        UsageError: the cache cannot be written.
    """
    trt = load(flavour)
    onnx = bundle.network_content(PIPELINE)
    parts = ingredients(trt, flavour, onnx, recipe)
    key, refused = key_of(parts), None
    try:
        if (entry := store.read(key)) is not None:
            return WarmEngine(entry=entry, built=False)
    except BackendError as error:
        refused = str(error)
    network = bundle.networks[PIPELINE]
    start = time.perf_counter()
    parsed = parse(trt, onnx, inputs=network.inputs, outputs=network.outputs)
    layers = prove(parsed.network, recipe.precision)
    parsed_at = time.perf_counter()
    timings_key = key_of({name: parts[name] for name in ("format", "module", "version", "cuda", "target")})
    timings = None if flavour.portable else _kept_timings(store, timings_key)
    plan = build(parsed, recipe, progress, timings=timings)
    seconds = {"parse": parsed_at - start, "build": time.perf_counter() - parsed_at}
    if plan.timings is not None:
        store.write(timings_key, {"timings_of": parts["target"]}, plan.timings)
    facts = {
        "ingredients": parts,
        "layers": layers,
        "engine_layers": _told(trt, plan.engine, recipe),
        "seconds": seconds,
    }
    return WarmEngine(entry=store.write(key, facts, plan.engine), built=True, rebuilt_because=refused)


def _told(trt: ModuleType, engine: bytes, recipe: Recipe) -> dict[str, int] | None:
    """Number formats of the layers of a new engine by its own word; None where no GPU that it is for is there."""
    try:
        here = probe().gpus[0]
    except BackendError:
        return None
    if recipe.target.gpu != here and here.compute_capability not in recipe.target.capabilities:
        return None
    return prove_engine(ask_engine(trt, engine), recipe.precision)


def ingredients(trt: ModuleType, flavour: Flavour, onnx: bytes, recipe: Recipe) -> dict[str, Any]:
    """All that an engine depends on; a change of any of these needs another engine."""
    return {
        "format": 3,  # of the entries, and of how this code builds
        "onnx": hashlib.sha256(onnx).hexdigest(),
        "precision": recipe.precision,
        "slices": list(recipe.slices),
        "optimisation_level": recipe.optimisation_level,
        "module": flavour.module,
        "version": trt.__version__,
        "cuda": cuda_of(flavour),
        "target": asdict(recipe.target),
    }


def key_of(parts: Mapping[str, Any]) -> str:
    """Name of an entry: SHA-256 over its ingredients."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _kept_timings(store: EngineStore, key: str) -> bytes:
    """What the last build measured of this GPU; it only saves time, so one that is unfit is as good as none."""
    try:
        entry = store.read(key)
    except BackendError:
        return b""
    return b"" if entry is None else entry.content
