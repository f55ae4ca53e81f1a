"""The device: the protocol of the kernels' host side for a GPU, which PyCUDA and the host shim fulfil."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["THREADS", "Allocation", "Argument", "Device", "DeviceArray", "Event", "Stream"]

THREADS: Final = 256
"""Of every block: ``WARP * WARPS`` of the kernels."""

Stream: TypeAlias = Any
"""A queue of work on a device; its ``handle`` is what engines take as a stream."""

Event: TypeAlias = Any
"""A point in a stream."""


class Allocation(Protocol):
    """Device memory, freed with its owner; ``int(allocation)`` is its address."""

    def __int__(self) -> int:
        """Its address."""
        ...

    def free(self) -> None:
        """Give it back now; no work under way may use it."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeviceArray:
    """A C-contiguous array in device memory, seen and not owned.

    Attributes:
        address: of its first element.
        shape: as NumPy's.
        dtype: of its elements.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes from its beginning to its end."""
        return math.prod(self.shape) * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> "DeviceArray":
        """``array[start:stop]``, along the first axis."""
        offset = start * math.prod(self.shape[1:]) * self.dtype.itemsize
        return replace(self, address=self.address + offset, shape=(stop - start, *self.shape[1:]))


Argument: TypeAlias = DeviceArray | np.number[Any]
"""Of a kernel: what it has as a pointer, or a number of the very type that it declares."""


class Device(Protocol):
    """A GPU, or what stands for one; used by the thread that made it.

    Contract:
        * copies and kernels are queued in a stream and run in its order; between streams only ``wait`` orders them;
        * what ``upload`` reads and ``download`` writes comes from ``pinned``, is C-contiguous and has the bytes of the
          device array; the caller leaves it alone until an event behind the copy has been waited for;
        * what goes wrong in queued work is raised by that call or a later one;
        * every method raises BackendError where the device refuses; once the device is lost, all do, at once.
    """

    def allocate(self, nbytes: int) -> Allocation:
        """Device memory of ``nbytes`` > 0, aligned to 256 bytes, its content undefined.

        Raises:
            OutOfMemoryError: there is not so much of it.
        """
        ...

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory, its content undefined."""
        ...

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def upload(self, target: DeviceArray, source: NDArray[Any], stream: Stream) -> None:
        """Copy to the device."""
        ...

    def download(self, target: NDArray[Any], source: DeviceArray, stream: Stream) -> None:
        """Copy from the device."""
        ...

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
        *,
        shared_bytes: int = 0,
    ) -> None:
        """Run a kernel of ``kernels.cu`` in ``grid`` blocks of ``THREADS``."""
        ...

    def record(self, stream: Stream) -> Event:
        """The point up to which a stream is filled now."""
        ...

    def wait(self, stream: Stream, event: Event) -> None:
        """Hold back what is queued in a stream from now on until an event has come."""
        ...

    def synchronise(self, event: Event = None) -> None:
        """Return when an event has come; without one, when all work is done."""
        ...

    def capture(self, stream: Stream, work: Callable[[], None]) -> Callable[[], None] | None:
        """A CUDA graph of the work that ``work`` queues in a stream, for queueing it there again in one piece.

        ``work`` is called once and nothing of it runs. It uses memory that stays where it is as long as the graph is
        used, allocates none, waits for nothing, and queues in no other stream. None where the device cannot make a
        graph of it.
        """
        ...
