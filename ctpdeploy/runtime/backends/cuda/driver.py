"""The NVIDIA driver, called through ctypes.

The packages that run networks must not be called for that: without a driver some TensorRT runtimes return an object
that crashes the process, and ONNX Runtime lists CUDA on any machine.
"""

import ctypes
import sys
from dataclasses import dataclass

from ctpdeploy.errors import BackendError

__all__ = ["Driver", "Gpu", "free_memory", "leave_capture", "probe"]

_CUDA, _MANAGEMENT = ("nvcuda.dll", "nvml.dll") if sys.platform == "win32" else ("libcuda.so.1", "libnvidia-ml.so.1")
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_NO_DEVICE = 100  # CUresult; of cuInit too, where CUDA_VISIBLE_DEVICES hides them all


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as the driver gives it.
        compute_capability: such as ``"8.6"``.
        memory: bytes of the card in all; there are cards of one name with more and with less.
    """

    name: str
    compute_capability: str
    memory: int


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Versions of the driver, and its GPUs.

    Attributes:
        cuda: the newest CUDA version that it runs, such as ``"13.0"``.
        gpus: at least one, in the driver's order.
        release: its own version, such as ``"580.65.06"``; None where its management library is missing or fails.
    """

    cuda: str
    gpus: tuple[Gpu, ...]
    release: str | None = None


def probe() -> Driver:
    """The driver and the GPUs that it lists; no context is made on any.

    Raises:
        BackendError: there is no driver, it does not start, or it sees no GPU.
    """
    cuda = _load()
    _call(cuda.cuInit, ctypes.c_uint(0))
    version = _integer(cuda.cuDriverGetVersion)
    count = _integer(cuda.cuDeviceGetCount)
    if count == 0:
        raise _no_gpu()
    return Driver(
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        gpus=tuple(_gpu(cuda, i) for i in range(count)),
        release=_release(),
    )


def free_memory() -> int:
    """Bytes that are free on the GPU whose context is this thread's.

    Raises:
        BackendError: there is no such context, or it is lost.
    """
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _call(_load().cuMemGetInfo_v2, ctypes.byref(free), ctypes.byref(total))
    return free.value


def leave_capture(stream: int) -> None:
    """End a capture that a package began in a stream and left open, and discard its graph.

    Raises:
        BackendError: there is no driver.
    """
    cuda, graph = _load(), ctypes.c_void_p()
    cuda.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))  # an error where none is under way
    if graph.value is not None:
        cuda.cuGraphDestroy(graph)


def _load() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_CUDA)
    except OSError as error:
        raise BackendError(
            f"There is no NVIDIA driver ({error}): install it, or use a machine that has one."
        ) from error


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device = ctypes.c_int(_integer(cuda.cuDeviceGet, ctypes.c_int(index)))
    name = ctypes.create_string_buffer(256)
    _call(cuda.cuDeviceGetName, name, ctypes.c_int(len(name)), device)
    major, minor = (
        _integer(cuda.cuDeviceGetAttribute, ctypes.c_int(attribute), device)
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
    )
    memory = ctypes.c_size_t()
    _call(cuda.cuDeviceTotalMem_v2, ctypes.byref(memory), device)
    return Gpu(name=name.value.decode(errors="replace"), compute_capability=f"{major}.{minor}", memory=memory.value)


def _release() -> str | None:
    """The driver's version, which only its management library has; containers may lack that."""
    try:
        library = ctypes.CDLL(_MANAGEMENT)
    except OSError:
        return None
    text = ctypes.create_string_buffer(80)
    if library.nvmlInit_v2() != 0:
        return None
    succeeded = library.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text))) == 0
    library.nvmlShutdown()
    return text.value.decode(errors="replace") if succeeded else None


def _integer(function: "ctypes._NamedFuncPointer", *arguments: ctypes.c_int) -> int:
    """The integer that a driver function writes to the pointer in its first argument."""
    result = ctypes.c_int()
    _call(function, ctypes.byref(result), *arguments)
    return result.value


def _call(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    status = function(*arguments)
    if status == _NO_DEVICE:
        raise _no_gpu()
    if status != 0:
        raise BackendError(
            f"The NVIDIA driver does not work ({function.__name__} returned {status}): see what nvidia-smi says."
        )


def _no_gpu() -> BackendError:
    return BackendError("The NVIDIA driver sees no GPU: see what nvidia-smi and CUDA_VISIBLE_DEVICES say.")
