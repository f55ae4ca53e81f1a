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
from ctpdeploy.runtime.backends.trt.engine_cache import spare_engine_cache
from ctpdeploy.runtime.backends.trt.last_warmup import last_build_options
from ctpdeploy.runtime.backends.trt.network import TensorRTNetwork
from ctpdeploy.runtime.backends.trt.packages import TENSORRT_PACKAGES, TensorRTPackage, cuda_of, load
from ctpdeploy.runtime.backends.trt.warmup import warm_up
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKENDS", "cannot_run_because", "open_engine"]

_LOG = logging.getLogger(__name__)


def cannot_run_because(package: TensorRTPackage) -> str | None:
    """Reason why a package's engines cannot run here and the remedy, or None if they can; makes no context on a GPU."""
    return refusal_of(partial(_require, package))


def open_engine(package: TensorRTPackage, bundle: Bundle) -> CudaEngine:
    """Load the engine of a bundle; one that is not in the cache is built, which takes minutes and is logged.

    Where there is no place for a cache it is built each time.

    Raises:
        OutOfMemoryError: the GPU has not enough memory.
        BackendError: the package, PyCUDA, the driver or the GPU is missing or does not fit, or an engine is refused.
        InputError: the bundle is damaged.
    """
    trt, driver = _require(package)
    gpu, cache = driver.gpus[0], spare_engine_cache()
    options = last_build_options(bundle, package, cache)
    warm = warm_up(bundle, package, options, cache, _logged(f"for {bundle.source} on {gpu.name}"))
    if warm.rebuilt_because:
        _LOG.warning("An engine was built again. %s", warm.rebuilt_because)
    info = EngineInfo(
        backend=package.backend,
        device=gpu.name,
        precision=bundle.precision,
        versions={package.module: trt.__version__, "cuda driver": driver.release or driver.cuda},
    )
    workspace = Workspace(PycudaDevice())
    network = TensorRTNetwork(trt, warm.entry.content, bundle.networks[PIPELINE], workspace, info)
    return CudaEngine(network, workspace, in_float32=in_float32(bundle))


def _require(package: TensorRTPackage) -> tuple[ModuleType, Driver]:
    """The package and the driver; the cheap checks come first."""
    driver = require_gpu(extra="cuda")
    trt = load(package)
    require_cuda(driver, cuda_of(package), f"{package.module} {trt.__version__}")
    if package.portable:
        require_capabilities(trt, (driver.gpus[0].compute_capability,))
    return trt, driver


def _logged(engine: str) -> Progress:
    """Progress of a build that logs a line at each quarter."""
    logged = set[int]()

    def progress(_: str, share: float) -> None:
        if (quarter := int(4 * share)) not in logged:
            logged.add(quarter)
            _LOG.warning("The engine %s is %d %% built: ctpdeploy warmup does it beforehand.", engine, 25 * quarter)

    return progress


BACKENDS: Final = {
    name: Backend(
        extra=f"cuda,{package.extra}",
        packages=(*package.packages, "pycuda"),
        open=partial(open_engine, package),
        unavailable_because=partial(cannot_run_because, package),
    )
    for name, package in TENSORRT_PACKAGES.items()
}
"""By their names, best first."""
