"""The backend ``ort-cuda``: ONNX Runtime's CUDA provider on the GPU that is there."""

from types import ModuleType
from typing import Final

from ctpdeploy.errors import BackendError, install_with
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.cuda import PycudaDevice, Workspace
from ctpdeploy.runtime.backends.cuda.driver import Driver, free_memory
from ctpdeploy.runtime.backends.cuda.engine import CudaEngine
from ctpdeploy.runtime.backends.cuda.requirements import require_cuda, require_gpu
from ctpdeploy.runtime.backends.ort_cpu import in_float32
from ctpdeploy.runtime.backends.ort_cuda.network import OrtCudaNetwork
from ctpdeploy.runtime.backends.ort_cuda.session import EXTRA, PROVIDER, open_session
from ctpdeploy.runtime.backends.packages import refusal_of
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKEND", "NAME", "open_engine", "unavailable_because"]

NAME: Final = "ort-cuda"


def unavailable_because() -> str | None:
    """Reason why the backend cannot run here and the remedy, or None if it can; makes no context on a GPU."""
    return refusal_of(_require)


def open_engine(bundle: Bundle) -> CudaEngine:
    """Load the merged network of a bundle.

    Raises:
        OutOfMemoryError: the GPU has not enough memory.
        BackendError: the package, PyCUDA, the driver or the GPU is missing or does not fit, or refuses the network.
        InputError: the bundle is damaged.
    """
    onnxruntime, driver = _require()
    info = EngineInfo(
        backend=NAME,
        device=driver.gpus[0].name,
        precision=bundle.precision,
        versions={"onnxruntime": onnxruntime.__version__, "cuda driver": driver.release or driver.cuda},
    )
    onnx = bundle.network_content(PIPELINE)
    workspace = Workspace(PycudaDevice())
    session = open_session(onnx, workspace.kernels.handle, memory=free_memory())
    network = OrtCudaNetwork(session, bundle.networks[PIPELINE], workspace, info)
    return CudaEngine(network, workspace, in_float32=in_float32(bundle))


def _require() -> tuple[ModuleType, Driver]:
    """The package and the driver; the cheap checks come first."""
    driver = require_gpu(extra=EXTRA)
    onnxruntime = require("onnxruntime", extra=EXTRA)
    if not hasattr(onnxruntime, "InferenceSession"):
        raise BackendError("onnxruntime is half removed: run pip install --force-reinstall onnxruntime-gpu.")
    if PROVIDER not in onnxruntime.get_available_providers():
        raise BackendError(
            "The onnxruntime that is installed knows no CUDA: run pip uninstall -y onnxruntime onnxruntime-gpu, then "
            f"{install_with(EXTRA)}."
        )
    require_cuda(driver, str(getattr(onnxruntime, "cuda_version", "")), f"onnxruntime {onnxruntime.__version__}")
    return onnxruntime, driver


BACKEND: Final = Backend(
    extra=EXTRA,
    packages=("onnxruntime-gpu", "pycuda"),
    open=open_engine,
    unavailable_because=unavailable_because,
)
