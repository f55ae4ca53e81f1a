"""The kernels on the CPU, through the host shim: the proof of what a GPU will do, where there is none.

The same ``kernels.cu`` is compiled as C++ (``host/``) and launched with the same arguments. Whatever CUDA leaves open
is used against the caller: memory begins as NaN, streams advance each at a pace of its own, and threads and blocks run
forwards or backwards. A forgotten wait or barrier then shows in the result. While a stream is captured, what would
spoil the graph on a GPU is refused.
"""

import ctypes
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.device import THREADS, Argument, DeviceArray

__all__ = ["HostDevice", "host_view"]

_C_TYPES: dict[str, Any] = {
    "P": ctypes.c_void_p,
    "i": ctypes.c_int32,
    "q": ctypes.c_int64,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}
_PACES = (0, 1, 100)
"""Streams that do nothing before they must, that lag behind, and that do all they may at once."""

_LETTERS = {np.int32: "i", np.int64: "q", np.float32: "f", np.float64: "d"}


def host_view(array: DeviceArray) -> NDArray[Any]:
    """The numbers of an array of a :class:`HostDevice`, for work that is queued with :meth:`HostDevice.call`."""
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * array.nbytes).from_address(array.address))
    return memory.view(array.dtype).reshape(array.shape)


class HostDevice:
    """A :class:`ctpdeploy.runtime.backends.cuda.device.Device` on the CPU.

    Args:
        library: the kernels, as :func:`ctpdeploy.emulator.build.build_host_library` compiles them.
        seed: of the paces of streams.
        backwards: run threads and blocks from last to first.

    Raises:
        BackendError: the library cannot be loaded.
    """

    def __init__(self, library: Path, *, seed: int = 0, backwards: bool = False) -> None:
        try:
            self._library = ctypes.PyDLL(str(library))  # holds the interpreter's lock: the shim runs one grid at a time
        except OSError as error:
            raise BackendError(f"The kernels in {library} cannot be loaded ({error}): build them again.") from error
        self._library.shim_allocate.restype = ctypes.c_void_p
        self._library.shim_parameters.restype = ctypes.c_char_p
        self._library.shim_launch.restype = ctypes.c_char_p
        self._random = random.Random(seed)
        self._backwards = backwards
        self._streams: list[_Stream] = []
        self._capture: _Capture | None = None

    def allocate(self, nbytes: int) -> "_Memory":
        """Memory full of NaN."""
        self._refuse_capturing("memory is allocated")
        address = self._library.shim_allocate(ctypes.c_size_t(nbytes))
        if address is None:
            raise OutOfMemoryError(f"There is no memory for {nbytes} bytes: close other programs.")
        return _Memory(self._library, address, nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Memory full of NaN; nothing is page-locked."""
        self._refuse_capturing("memory is allocated")
        return np.full(nbytes, 0xFF, dtype=np.uint8)

    def stream(self) -> "_Stream":
        """A new stream."""
        self._streams.append(_Stream(handle=len(self._streams), pace=self._random.choice(_PACES)))
        return self._streams[-1]

    def upload(self, target: DeviceArray, source: NDArray[Any], stream: "_Stream") -> None:
        """Copy to the device."""
        self._copy(target.address, source.ctypes.data, target, source, stream)

    def download(self, target: NDArray[Any], source: DeviceArray, stream: "_Stream") -> None:
        """Copy from the device."""
        self._copy(target.ctypes.data, source.address, source, target, stream)

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: "_Stream",
        *,
        shared_bytes: int = 0,
    ) -> None:
        """Run a kernel, if it is given the very types that it declares."""
        letters = "".join("P" if isinstance(value, DeviceArray) else _LETTERS[type(value)] for value in arguments)
        declared = self._library.shim_parameters(kernel.encode())
        if declared != letters.encode():
            raise BackendError(f"The kernel {kernel} takes {declared}, not {letters!r}: correct the call.")
        values = [
            _C_TYPES[letter](value.address if isinstance(value, DeviceArray) else value.item())
            for letter, value in zip(letters, arguments, strict=True)
        ]

        def run() -> None:
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            fault = self._library.shim_launch(
                kernel.encode(),
                (ctypes.c_uint * 3)(*grid),
                (ctypes.c_uint * 3)(THREADS, 1, 1),
                ctypes.c_size_t(shared_bytes),
                pointers,
                ctypes.c_int(self._backwards),
            )
            if fault is not None:
                raise BackendError(f"The kernel {kernel} cannot run: {fault.decode()}.")

        self._queue(stream, run)

    def call(self, stream: "_Stream", function: Callable[[], object]) -> None:
        """Queue a function of the host, as networks on the CPU need it; on a GPU there is no such call."""
        self._queue(stream, function)

    def capture(self, stream: "_Stream", work: Callable[[], None]) -> Callable[[], None] | None:
        """A replay of the work that ``work`` queues; None if it includes calls that no graph can hold."""
        self._refuse_capturing("a capture begins")
        self._capture = capture = _Capture(stream)
        try:
            work()
        except _NotCapturedError:
            return None
        finally:
            self._capture = None
        return partial(self._replay, stream, tuple(capture.queued))

    def record(self, stream: "_Stream") -> "_Event":
        """The point up to which a stream is filled now."""
        return _Event(stream, stream.queued)

    def wait(self, stream: "_Stream", event: "_Event") -> None:
        """Hold back what is queued in a stream from now on until an event has come."""
        self._queue(stream, event.reach)

    def synchronise(self, event: "_Event | None" = None) -> None:
        """Return when an event has come; without one, when all work is done."""
        self._refuse_capturing("the host waits")
        for awaited in [event] if event is not None else [self.record(stream) for stream in self._streams]:
            awaited.reach()

    def _copy(self, target: int, source: int, array: DeviceArray, host: NDArray[Any], stream: "_Stream") -> None:
        if not host.flags.c_contiguous or host.nbytes != array.nbytes:
            raise BackendError(f"A copy of {array.nbytes} bytes is given {host.nbytes} on the host: correct the call.")
        self._queue(stream, lambda: ctypes.memmove(target, source, host.nbytes))

    def _queue(self, stream: "_Stream", work: Callable[[], object]) -> None:
        """Add to a stream, then let each advance at its pace."""
        if self._capture is not None:
            if self._capture.stream is not stream:
                self._refuse_capturing("another stream is used")
            self._capture.queued.append(work)
            return
        stream.waiting.append(work)
        for other in self._streams:
            other.advance_to(other.done + self._random.randint(0, other.pace))

    def _replay(self, stream: "_Stream", queued: Sequence[Callable[[], object]]) -> None:
        for work in queued:
            self._queue(stream, work)

    def _refuse_capturing(self, what: str) -> None:
        if self._capture is not None:
            raise _NotCapturedError(f"While a stream is captured, {what}: on a GPU that spoils the graph.")


class _NotCapturedError(BackendError):
    """A call that spoils the graph while a stream is captured."""


@dataclass
class _Capture:
    """A stream under capture and what was queued in it."""

    stream: "_Stream"
    queued: list[Callable[[], object]] = field(default_factory=list)


@dataclass
class _Stream:
    """A queue of work, done in its order, ``pace`` pieces at most for each that is queued anywhere."""

    handle: int
    pace: int
    waiting: deque[Callable[[], object]] = field(default_factory=deque)
    done: int = 0

    @property
    def queued(self) -> int:
        return self.done + len(self.waiting)

    def advance_to(self, position: int) -> None:
        while self.done < position and self.waiting:
            work = self.waiting.popleft()
            work()
            self.done += 1


@dataclass(frozen=True)
class _Event:
    """A position in a stream."""

    stream: _Stream
    position: int

    def reach(self) -> None:
        self.stream.advance_to(self.position)


class _Memory:
    """Memory of the shim, freed with its owner."""

    def __init__(self, library: ctypes.PyDLL, address: int, nbytes: int) -> None:
        self._library, self._address, self._nbytes = library, address, nbytes

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        if self._address:
            ctypes.memset(self._address, 0xFF, self._nbytes)  # who still reads it finds NaN
            self._library.shim_free(ctypes.c_void_p(self._address))
            self._address = 0

    def __del__(self) -> None:
        # as PyCUDA's: what fails between allocating and keeping leaves nothing behind
        self.free()
