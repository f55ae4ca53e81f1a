"""A session of ONNX Runtime that runs the whole network on the GPU, or none.

With CUDA requested, ONNX Runtime falls back to the CPU where it finds none, or where a node has no CUDA kernel, with a
message on stderr alone. So fallback is switched off, and the provider of the session is compared with that requested.
"""

import contextlib
import io
from types import ModuleType
from typing import Any, Final

from ctpdeploy.errors import BackendError, install_with
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.cuda.errors import failure
from ctpdeploy.runtime.backends.ort_cpu import session_options

__all__ = ["EXTRA", "PROVIDER", "named", "open_session"]

EXTRA: Final = "gpu"
PROVIDER: Final = "CUDAExecutionProvider"

_LONGEST: Final = 300


def open_session(onnx: bytes, stream: int, *, memory: int) -> Any:  # noqa: ANN401  onnxruntime is imported late
    """Load a network.

    Args:
        onnx: the network with its weights.
        stream: handle of the CUDA stream that all work is queued in.
        memory: bytes of the GPU that the session may take. Without a limit some drivers lend memory of the host to a
            GPU that is full, at a fraction of the speed.

    Raises:
        OutOfMemoryError: the GPU has not enough memory.
        BackendError: CUDA or cuDNN is not found, or not the whole network runs on the GPU.
    """
    onnxruntime = require("onnxruntime", extra=EXTRA)
    missing = _preload(onnxruntime)
    options = session_options()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.log_severity_level = 4  # errors come as exceptions too
    provider = (PROVIDER, _provider_options(stream, memory))
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=[provider], enable_fallback=0)
        reason = f"it took {', '.join(session.get_providers())}"
        if session.get_providers()[0] == PROVIDER:
            return session
    except Exception as error:  # noqa: BLE001  ONNX Runtime's exceptions share no base class
        reason = str(error)
    if missing:
        raise BackendError(
            f"{named(onnxruntime)} does not find all of CUDA and cuDNN ({missing}): {install_with(EXTRA)}."
        )
    raise failure(named(onnxruntime), "does not open the whole network on the GPU", reason)


def named(onnxruntime: ModuleType) -> str:
    """The package and its version, for errors."""
    return f"ONNX Runtime {onnxruntime.__version__}"


def _provider_options(stream: int, memory: int) -> dict[str, str]:
    return {
        "device_id": "0",
        "user_compute_stream": str(stream),
        "gpu_mem_limit": str(memory),
        "arena_extend_strategy": "kSameAsRequested",  # by default it takes up to twice what it needs
        # rules choose the algorithm of a convolution; by default it is measured, which takes seconds for every new
        # number of slices, and may end otherwise, and so in other roundings, in the next process
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",  # by default products of float32 are taken with 10 bits of mantissa
        "enable_cuda_graph": "1",  # for the runs that use one
    }


def _preload(onnxruntime: ModuleType) -> str:
    """Load the libraries of CUDA and cuDNN that pip installed; returns its message on those missing, in one line."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    return " ".join(printed.getvalue().split())[:_LONGEST]
