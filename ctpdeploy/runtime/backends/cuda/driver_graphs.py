"""CUDA graphs, which PyCUDA lacks: six functions of the driver, called through ctypes on PyCUDA's streams.

A stream under capture collects what is queued in it instead of running it. The capture is thread-local: what other
threads of the process do meanwhile, such as those of an engine, neither spoils it nor is refused.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final

from ctpdeploy.runtime.backends.cuda.device import Stream

__all__ = ["LIBRARY", "OUT_OF_MEMORY", "CudaGraph", "capture", "load_driver"]

LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
OUT_OF_MEMORY: Final = 2
"""CUDA_ERROR_OUT_OF_MEMORY, a status."""

_THREAD_LOCAL: Final = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "cuStreamBeginCapture_v2": (ctypes.c_void_p, ctypes.c_int),
    "cuStreamEndCapture": (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)),
    "cuGraphInstantiateWithFlags": (ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.c_ulonglong),
    "cuGraphLaunch": (ctypes.c_void_p, ctypes.c_void_p),
    "cuGraphExecDestroy": (ctypes.c_void_p,),
    "cuGraphDestroy": (ctypes.c_void_p,),
}
"""Types of the arguments, as cuda.h declares them; all return a status, 0 for success."""


def load_driver() -> ctypes.CDLL | None:
    """The driver's library, or None where it has no graphs (before CUDA 11.4) or cannot be loaded."""
    try:
        driver = ctypes.CDLL(LIBRARY)
        for name, types in _SIGNATURES.items():
            function = getattr(driver, name)
            function.argtypes, function.restype = types, ctypes.c_int
    except (OSError, AttributeError):
        return None
    return driver


class CudaGraph:
    """A graph that can be launched in the stream that it was captured in; destroyed with its owner."""

    def __init__(self, driver: ctypes.CDLL, executable: int | None, stream: Stream) -> None:
        self._driver = driver
        self._executable = executable
        self._stream = stream

    def launch(self) -> int:
        """Queue it once more; the driver's status, 0 for success."""
        status: int = self._driver.cuGraphLaunch(self._executable, self._stream.handle)
        return status

    def destroy(self) -> None:
        """Release it now, and not with its owner; a replay under way is finished first."""
        if self._executable:
            self._driver.cuGraphExecDestroy(self._executable)
            self._executable = None

    def __del__(self) -> None:
        # a replay is a plain callable: who forgets it, as when its memory has moved, gives the graph back
        self.destroy()


def capture(driver: ctypes.CDLL, stream: Stream, work: Callable[[], None]) -> CudaGraph | None:
    """A graph of the work that ``work`` queues in a stream; None if the driver makes none of it.

    The stream is out of capture when this returns or raises; exceptions of ``work`` are passed on.
    """
    if driver.cuStreamBeginCapture_v2(stream.handle, _THREAD_LOCAL) != 0:
        return None
    try:
        work()
    except BaseException:
        graph = _end(driver, stream)
        if graph is not None:
            driver.cuGraphDestroy(graph)
        raise
    graph = _end(driver, stream)
    if graph is None:
        return None
    executable = ctypes.c_void_p()
    status = driver.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, 0)
    driver.cuGraphDestroy(graph)  # the executable form does not need it
    return CudaGraph(driver, executable.value, stream) if status == 0 else None


def _end(driver: ctypes.CDLL, stream: Stream) -> int | None:
    """End a capture; what was captured, or None if something spoilt it."""
    graph = ctypes.c_void_p()
    driver.cuStreamEndCapture(stream.handle, ctypes.byref(graph))
    return graph.value
