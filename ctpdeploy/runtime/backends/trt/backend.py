"""The backends ``tensorrt`` and ``tensorrt-rtx``: engines from the cache, on the GPU that is there."""

import logging
from functools import partial
from types import ModuleType
from typing import Final

from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.cuda import PycudaDevice, Workspace
from ctpdeploy.runtime.backends.cuda.driver import Driver
from ctpdeploy.runtime.backends.cuda.engine import CudaEngine
from ctpdeploy.runtime.backends.cuda.requirements import require_cuda, require_gpu
from ctpdeploy.runtime.backends.ort_cpu import in_float32
from ctpdeploy.runtime.backends.packages import refusal_of
from ctpdeploy.runtime.backends.trt.build import require_capabilities
from ctpdeploy.runtime.backends.trt.callbacks import Progress
from ctpdeploy.runtime.backends.trt.engine_cache import user_store
from ctpdeploy.runtime.backends.trt.last_warmup import recipe_for
from ctpdeploy.runtime.backends.trt.network import TensorRTNetwork
from ctpdeploy.runtime.backends.trt.packages import FLAVOURS, Flavour, cuda_of, load
from ctpdeploy.runtime.backends.trt.warmup import warm_up
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKENDS", "cannot_run_because", "open_engine"]

_LOG = logging.getLogger(__name__)


def cannot_run_because(flavour: Flavour) -> str | None:
    """Why the engines of a package cannot run here and what to do, or None if they can; makes no context on a GPU."""
    return refusal_of(partial(_require, flavour))


def open_engine(flavour: Flavour, bundle: Bundle) -> CudaEngine:
    """Load the engine of a bundle; one that is not in the cache is built, which takes minutes and is logged.

    Raises:
        OutOfMemoryError: the GPU has not enough memory.
        BackendError: the package, PyCUDA, the driver or the GPU is missing or does not fit, or an engine is refused.
        InputError: the bundle is damaged.
        UsageError: the cache cannot be written.
    """
    trt, driver = _require(flavour)
    gpu, store = driver.gpus[0], user_store()
    recipe = recipe_for(bundle, flavour, store)
    warm = warm_up(bundle, flavour, recipe, store, _logged(f"for {bundle.source} on {gpu.name}"))
    if warm.rebuilt_because:
        _LOG.warning("An engine was built again. %s", warm.rebuilt_because)
    info = EngineInfo(
        backend=flavour.backend,
        device=gpu.name,
        precision=bundle.precision,
        versions={flavour.module: trt.__version__, "cuda driver": driver.release or driver.cuda},
    )
    workspace = Workspace(PycudaDevice())
    network = TensorRTNetwork(trt, warm.entry.content, bundle.networks[PIPELINE], workspace, info)
    return CudaEngine(network, workspace, in_float32=in_float32(bundle))


def _require(flavour: Flavour) -> tuple[ModuleType, Driver]:
    """The package and the driver, what is cheap to ask first."""
    driver = require_gpu(extra="cuda")
    trt = load(flavour)
    require_cuda(driver, cuda_of(flavour), f"{flavour.module} {trt.__version__}")
    if flavour.portable:
        require_capabilities(trt, (driver.gpus[0].compute_capability,))
    return trt, driver


def _logged(engine: str) -> Progress:
    """Say at each quarter how far a build is, to who waits for it."""
    told = set[int]()

    def progress(_: str, share: float) -> None:
        if (quarter := int(4 * share)) not in told:
            told.add(quarter)
            _LOG.warning("The engine %s is %d %% built: ctpdeploy warmup does it beforehand.", engine, 25 * quarter)

    return progress


BACKENDS: Final = {
    name: Backend(
        extra=flavour.extra,
        packages=(*flavour.packages, "pycuda"),
        open=partial(open_engine, flavour),
        unavailable_because=partial(cannot_run_because, flavour),
    )
    for name, flavour in FLAVOURS.items()
}
"""By their names, best first."""
