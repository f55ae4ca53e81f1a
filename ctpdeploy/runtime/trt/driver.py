"""The NVIDIA driver, asked through ctypes.

TensorRT must not be asked: without a driver its lean and dispatch runtimes return an object that crashes the process.
"""

import ctypes
import sys
from dataclasses import dataclass

from ctpdeploy.errors import BackendError

__all__ = ["Driver", "Gpu", "probe"]

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as the driver gives it.
        compute_capability: such as ``"8.6"``.
    """

    name: str
    compute_capability: str


@dataclass(frozen=True, kw_only=True)
class Driver:
    """What the driver says.

    Attributes:
        cuda: the newest CUDA version that it runs, such as ``"13.0"``.
        gpus: at least one, in the driver's order.
    """

    cuda: str
    gpus: tuple[Gpu, ...]


def probe() -> Driver:
    """Ask the driver which GPUs there are.

    Raises:
        BackendError: there is no driver, it does not start, or it sees no GPU.
    """
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise BackendError(
            f"There is no NVIDIA driver ({error}): install it, or use a machine that has one."
        ) from error
    _call(cuda.cuInit, ctypes.c_uint(0))
    version = _integer(cuda.cuDriverGetVersion)
    count = _integer(cuda.cuDeviceGetCount)
    if count == 0:
        raise BackendError("The NVIDIA driver sees no GPU: see what nvidia-smi and CUDA_VISIBLE_DEVICES say.")
    return Driver(cuda=f"{version // 1000}.{version % 1000 // 10}", gpus=tuple(_gpu(cuda, i) for i in range(count)))


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device = ctypes.c_int(_integer(cuda.cuDeviceGet, ctypes.c_int(index)))
    name = ctypes.create_string_buffer(256)
    _call(cuda.cuDeviceGetName, name, ctypes.c_int(len(name)), device)
    major, minor = (
        _integer(cuda.cuDeviceGetAttribute, ctypes.c_int(attribute), device)
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
    )
    return Gpu(name=name.value.decode(errors="replace"), compute_capability=f"{major}.{minor}")


def _integer(function: "ctypes._NamedFuncPointer", *arguments: ctypes.c_int) -> int:
    """What a driver function writes into the integer that its first argument points to."""
    result = ctypes.c_int()
    _call(function, ctypes.byref(result), *arguments)
    return result.value


def _call(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    status = function(*arguments)
    if status != 0:
        raise BackendError(
            f"The NVIDIA driver does not work ({function.__name__} returned {status}): see what nvidia-smi says."
        )
