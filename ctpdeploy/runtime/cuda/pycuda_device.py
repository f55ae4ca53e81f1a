"""A GPU through PyCUDA: the only module that imports it, and not before a device is asked for.

The primary context of the GPU is used, which TensorRT and ONNX Runtime use too, so that their work and ours share
memory and streams. The kernels come as a prebuilt image; nothing is compiled.
"""

import atexit
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import require
from ctpdeploy.runtime.cuda.device import THREADS, Allocation, Argument, DeviceArray, Event, Stream
from ctpdeploy.runtime.cuda.fatbin import read_fatbin

__all__ = ["PycudaDevice"]


class PycudaDevice:
    """A :class:`ctpdeploy.runtime.cuda.device.Device` on an NVIDIA GPU, for the rest of the process.

    Args:
        ordinal: number of the GPU, as the driver counts.

    Raises:
        MissingPackageError: PyCUDA is not installed.
        BackendError: there is no driver or no such GPU, or it cannot load the kernels.
    """

    def __init__(self, ordinal: int = 0) -> None:
        self._driver = _load_driver()
        with self._refusing("to start"):
            self._driver.init()
            self._context = self._driver.Device(ordinal).retain_primary_context()
            self._context.push()
        atexit.register(self._context.detach)  # else PyCUDA aborts, since its stack of contexts is not empty
        with self._refusing("the kernels"):
            self._module = self._driver.module_from_buffer(read_fatbin())
        self._functions: dict[str, Any] = {}

    def allocate(self, nbytes: int) -> Allocation:
        """Device memory."""
        with self._refusing(f"{nbytes} bytes of memory"):
            return self._driver.mem_alloc(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory."""
        with self._refusing(f"to lock {nbytes} bytes of host memory"):
            return self._driver.pagelocked_empty(nbytes, np.uint8)

    def stream(self) -> Stream:
        """A new stream."""
        with self._refusing("a stream"):
            return self._driver.Stream()

    def upload(self, target: DeviceArray, source: NDArray[Any], stream: Stream) -> None:
        """Copy to the device."""
        with self._refusing(f"a copy of {source.nbytes} bytes to it"):
            self._driver.memcpy_htod_async(target.address, source, stream)

    def download(self, target: NDArray[Any], source: DeviceArray, stream: Stream) -> None:
        """Copy from the device."""
        with self._refusing(f"a copy of {target.nbytes} bytes from it"):
            self._driver.memcpy_dtoh_async(target, source.address, stream)

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
        *,
        shared_bytes: int = 0,
    ) -> None:
        """Run a kernel of the image."""
        values = [np.uint64(value.address) if isinstance(value, DeviceArray) else value for value in arguments]
        with self._refusing(f"the kernel {kernel}"):
            if kernel not in self._functions:
                self._functions[kernel] = self._module.get_function(kernel)
            self._functions[kernel](*values, grid=grid, block=(THREADS, 1, 1), stream=stream, shared=shared_bytes)

    def record(self, stream: Stream) -> Event:
        """The point up to which a stream is filled now."""
        with self._refusing("an event"):
            return self._driver.Event().record(stream)

    def wait(self, stream: Stream, event: Event) -> None:
        """Hold back what is queued in a stream from now on until an event has come."""
        with self._refusing("to wait"):
            stream.wait_for_event(event)

    def synchronise(self, event: Event = None) -> None:
        """Return when an event has come; without one, when all work is done."""
        with self._refusing("to finish its work"):
            if event is None:
                self._context.synchronize()
            else:
                event.synchronize()

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Turn PyCUDA's errors into ours."""
        try:
            yield
        except self._driver.Error as error:
            raise BackendError(
                f"The GPU refuses {what} ({error}): see what nvidia-smi says, or take another backend."
            ) from error


def _load_driver() -> ModuleType:
    """``pycuda.driver``, which cannot be imported without the NVIDIA driver."""
    require("pycuda", extra="cuda")
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendError(
            f"PyCUDA finds no NVIDIA driver ({error}): install it, or use a machine that has one."
        ) from error
