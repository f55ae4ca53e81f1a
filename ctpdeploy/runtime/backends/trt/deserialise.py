"""From the bytes of an engine to the engine on its GPU, or why it does not open there."""

from types import ModuleType
from typing import Final

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.errors import failure
from ctpdeploy.runtime.backends.trt.packages import Native

__all__ = ["deserialise_engine"]

_DIAGNOSES: Final = {
    "INSUFFICIENT_GPU_MEMORY": (OutOfMemoryError, "the GPU has too little memory: close what else uses it, or take"),
    "UNSUPPORTED_CC": (BackendError, "it is not for this GPU: run ctpdeploy warmup here, or take"),
    "VERSION_MISMATCH": (BackendError, "another version built it: run ctpdeploy warmup again, or take"),
    "MALFORMED_ENGINE": (BackendError, "it is damaged: run ctpdeploy warmup again, or take"),
    "OLD_CUDA_DRIVER": (BackendError, "the NVIDIA driver is too old: install a newer one, or take"),
    "OLD_CUDA_RUNTIME": (BackendError, "the CUDA runtime is too old: install the package again, or take"),
    "CUDA_ERROR": (BackendError, "CUDA does not work: see what nvidia-smi says, or take"),
}
"""Error and remedy for each bit of ``EngineInvalidityDiagnostics``, the most specific first."""


def deserialise_engine(trt: ModuleType, plan: bytes, logger: Native) -> Native:
    """Load an engine on the GPU whose context is this thread's.

    Args:
        trt: the package that built it. A driver and a GPU have to be there: without one some runtimes crash the
            process.
        plan: built by this program; it is executable code.
        logger: of :func:`ctpdeploy.runtime.backends.trt.callbacks.collecting_logger`.

    Returns:
        An ``ICudaEngine``.

    Raises:
        OutOfMemoryError: the GPU has not enough memory for it.
        BackendError: it is for another GPU or version, or the package refuses it; with what it logged.
    """
    who = f"{trt.__name__} {trt.__version__}"
    runtime = trt.Runtime(logger)
    if hasattr(runtime, "get_engine_validity"):  # of TensorRT-RTX, which gives the reason
        _, bits = runtime.get_engine_validity(plan)
        for name, (kind, advice) in _DIAGNOSES.items():
            if bits & int(getattr(trt.EngineInvalidityDiagnostics, name)):
                raise kind(f"{who} does not open its engine of {len(plan) / 1e6:.0f} MB, {advice} another backend.")
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise failure(who, f"does not open its engine of {len(plan) / 1e6:.0f} MB", logger.taken())
    return engine
