"""The kernels through CuPy, for machines that have it and not PyCUDA: enough to check and time them, no backend."""

from collections.abc import Callable, Sequence
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.device import THREADS, Argument, DeviceArray, Event, Stream
from ctpdeploy.runtime.backends.cuda.fatbin import FATBIN

__all__ = ["CupyDevice"]


class _Memory:
    """Device memory, freed with its owner."""

    def __init__(self, nbytes: int) -> None:
        self._pointer = cupy.cuda.alloc(nbytes)

    def __int__(self) -> int:
        return int(self._pointer.ptr)

    def free(self) -> None:
        self._pointer = None


class CupyDevice:
    """A :class:`ctpdeploy.runtime.backends.cuda.device.Device` on the first GPU.

    Raises:
        BackendError: CuPy sees no GPU, or it does not load the kernels.
    """

    def __init__(self) -> None:
        try:
            self._module = cupy.RawModule(path=str(FATBIN))
            self._module.get_function("mask_above")
        except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
            raise BackendError(f"CuPy does not load the kernels ({error}): see what nvidia-smi says.") from error

    def allocate(self, nbytes: int) -> _Memory:
        """Device memory."""
        return _Memory(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory."""
        return np.frombuffer(cupy.cuda.alloc_pinned_memory(nbytes), np.uint8, nbytes)

    def stream(self) -> Stream:
        """A new stream."""
        return cupy.cuda.Stream(non_blocking=True)

    def upload(self, target: DeviceArray, source: NDArray[Any], stream: Stream) -> None:
        """Copy to the device."""
        kind = cupy.cuda.runtime.memcpyHostToDevice
        cupy.cuda.runtime.memcpyAsync(target.address, source.ctypes.data, source.nbytes, kind, stream.ptr)

    def download(self, target: NDArray[Any], source: DeviceArray, stream: Stream) -> None:
        """Copy from the device."""
        kind = cupy.cuda.runtime.memcpyDeviceToHost
        cupy.cuda.runtime.memcpyAsync(target.ctypes.data, source.address, target.nbytes, kind, stream.ptr)

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
        with stream:
            self._module.get_function(kernel)(grid, (THREADS, 1, 1), tuple(values), shared_mem=shared_bytes)

    def record(self, stream: Stream) -> Event:
        """The point up to which a stream is filled now."""
        return stream.record()

    def wait(self, stream: Stream, event: Event) -> None:
        """Hold back what is queued in a stream from now on until an event has come."""
        stream.wait_event(event)

    def synchronise(self, event: Event = None) -> None:
        """Return when an event has come; without one, when all work is done."""
        cupy.cuda.runtime.deviceSynchronize() if event is None else event.synchronize()

    def capture(self, stream: Stream, work: Callable[[], None]) -> None:
        """No graphs: the kernels are timed one by one."""
