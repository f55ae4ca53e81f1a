"""A GPU through PyCUDA: the only module that imports it, and not before a device is made.

The primary context of the GPU is used, which TensorRT and ONNX Runtime use too, so that their work and ours share
memory and streams. The kernels come as a prebuilt image; nothing is compiled.

Some faults of a kernel, an engine or the GPU itself ruin the context, and with it all memory and streams, until the
process ends. PyCUDA's errors do not distinguish them from refusals, so after each error a query is sent to the driver
that always succeeds, unless the context is lost.
"""

import atexit
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.cuda import driver_graphs
from ctpdeploy.runtime.backends.cuda.device import THREADS, Allocation, Argument, DeviceArray, Event, Stream
from ctpdeploy.runtime.backends.cuda.fatbin import read_fatbin

__all__ = ["PycudaDevice"]


class PycudaDevice:
    """A :class:`ctpdeploy.runtime.backends.cuda.device.Device` on an NVIDIA GPU, for the rest of the process.

    Args:
        ordinal: number of the GPU, as the driver counts.

    Raises:
        MissingPackageError: PyCUDA is not installed.
        BackendError: there is no driver or no such GPU, it cannot load the kernels, or this is not the main thread.
    """

    def __init__(self, ordinal: int = 0) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise BackendError(
                "A GPU can be opened in the main thread only, since PyCUDA aborts the process when another thread that "
                "has opened one is gone: open the engine there."
            )
        self._driver = _load_driver()
        self._context: Any = None
        self._lost: str | None = None
        self._capturing = False
        with self._refusing("to start"):
            self._driver.init()
            self._context = self._driver.Device(ordinal).retain_primary_context()
            self._context.push()
        atexit.register(self._leave)
        with self._refusing("the kernels"):
            self._module = self._driver.module_from_buffer(read_fatbin())
        self._functions: dict[str, Any] = {}
        self._graph_driver = driver_graphs.load_driver()
        self._graphs: WeakSet[driver_graphs.CudaGraph] = WeakSet()

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

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None] | None:
        """A replay of a CUDA graph of ``work`` in a stream; None if the driver makes none of it."""
        with self._refusing("a CUDA graph"):
            graph = self._captured(stream, work)
            if graph is None:
                self._driver.mem_get_info()  # it fails where the reason is that the GPU is lost
                return None
        self._graphs.add(graph)
        return partial(self._launch_graph, graph)

    def _captured(self, stream: Stream, work: Callable[[], None]) -> driver_graphs.CudaGraph | None:
        if self._graph_driver is None:
            return None
        self._capturing = True
        try:
            return driver_graphs.capture(self._graph_driver, stream, work)
        except BackendError:
            return None  # work that cannot be captured may also be refused
        finally:
            self._capturing = False

    def _launch_graph(self, graph: driver_graphs.CudaGraph) -> None:
        with self._refusing("a CUDA graph"):
            status = graph.launch()
        if status != 0:
            raise self._refusal(
                "a CUDA graph", f"cuGraphLaunch returned {status}", out_of_memory=status == driver_graphs.OUT_OF_MEMORY
            )

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Turn PyCUDA's errors into ours, and do nothing more on a lost GPU."""
        if self._lost is not None:
            raise BackendError(self._lost)
        try:
            yield
        except self._driver.Error as error:
            full = isinstance(error, self._driver.MemoryError)
            raise self._refusal(what, str(error), out_of_memory=full) from error

    def _refusal(self, what: str, reason: str, *, out_of_memory: bool) -> BackendError:
        """The error for a refusal of the driver."""
        refused = f"The GPU refuses {what} ({reason})"
        if self._is_lost():
            self._lost = f"{refused} and is lost to this process: start again."
            return BackendError(self._lost)
        if out_of_memory:
            return OutOfMemoryError(f"{refused}: close other programs that use it, or take another backend.")
        return BackendError(f"{refused}: see what nvidia-smi says, or take another backend.")

    def _is_lost(self) -> bool:
        """Whether the driver refuses even the query of free memory."""
        if self._context is None or self._capturing:  # then it may refuse anyway
            return False
        try:
            self._driver.mem_get_info()
        except self._driver.Error:
            return True
        return False

    def _leave(self) -> None:
        """At exit, lest PyCUDA aborts the process: its stack of contexts has to be empty.

        ``pycuda.autoprimaryctx`` pops the context and leaves the rest to a destructor, which calls ``cuCtxDetach``
        (PyCUDA 2026.1). Detached here, the context is released as primary ones are, and its content is freed silently.
        """
        for graph in list(self._graphs):
            graph.destroy()
        self._context.detach()


def _load_driver() -> ModuleType:
    """``pycuda.driver``, which cannot be imported without the NVIDIA driver."""
    require("pycuda", extra="cuda")
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendError(
            f"PyCUDA finds no NVIDIA driver ({error}): install it, or use a machine that has one."
        ) from error
