"""Memory that lasts: named arrays on the device and page-locked ones on the host, kept from case to case."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ctpdeploy.runtime.backends.cuda.device import Allocation, Argument, Device, DeviceArray

__all__ = ["Workspace"]


class Workspace:
    """Named arrays and the two streams that work on them.

    An array keeps its memory from case to case; where a case needs more, all work is waited for and the memory is
    replaced. So an array is valid until its name is requested again, and its content is undefined until it is written.

    Attributes:
        device: whose memory it is.
        copies: the stream of uploads.
        kernels: the stream of kernels and downloads; an engine works on in it.
        replaced: how often memory on the device was replaced; caches of addresses are cleared when it changes.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.copies = device.stream()
        self.kernels = device.stream()
        self.replaced = 0
        self._allocations: dict[str, tuple[Allocation, int]] = {}
        self._pinned: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """An array on the device.

        Raises:
            OutOfMemoryError: the device has not enough memory.
        """
        kind = np.dtype(dtype)
        needed = math.prod(shape) * kind.itemsize
        allocation, size = self._allocations.get(name, (None, 0))
        if allocation is None or size < needed:
            if allocation is not None:
                self.device.synchronise()
                del self._allocations[name]
                allocation.free()
                self.replaced += 1
            allocation = self.device.allocate(needed)
            self._allocations[name] = allocation, needed
        return DeviceArray(address=int(allocation), shape=shape, dtype=kind)

    def pinned(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A page-locked array on the host, C-contiguous.

        Raises:
            BackendError: so much memory cannot be locked.
        """
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._pinned.get(name)
        if memory is None or memory.nbytes < needed:
            if memory is not None:
                self.device.synchronise()
            memory = self._pinned[name] = self.device.pinned(needed)
        return memory[:needed].view(dtype).reshape(shape)

    def close(self) -> None:
        """Free all arrays, once all work is done; whatever they gave memory to is not used any more.

        Raises:
            BackendError: the device is lost, and the memory with it.
        """
        self.device.synchronise()
        self._pinned.clear()
        while self._allocations:
            _, (allocation, _) = self._allocations.popitem()
            allocation.free()

    def launch(
        self, kernel: str, grid: tuple[int, int, int], arguments: Sequence[Argument], *, shared_bytes: int = 0
    ) -> None:
        """Queue a kernel in the stream of kernels."""
        self.device.launch(kernel, grid, arguments, self.kernels, shared_bytes=shared_bytes)

    def finish(self) -> None:
        """Return when all that is queued in the stream of kernels is done."""
        self.device.synchronise(self.device.record(self.kernels))

    def sent(self, name: str, values: NDArray[Any]) -> DeviceArray:
        """An array on the device that small ``values`` are queued for, in the stream of kernels.

        The copy of an earlier call of this name must be over.
        """
        staged = self.pinned(name, values.shape, values.dtype)
        np.copyto(staged, values)
        target = self.array(name, values.shape, values.dtype)
        self.device.upload(target, staged, self.kernels)
        return target

    def fetched(self, name: str, source: DeviceArray) -> NDArray[Any]:
        """A page-locked array that a download is queued for, in the stream of kernels; filled once that is done."""
        target = self.pinned(f"{name} on the host", source.shape, source.dtype)
        self.device.download(target, source, self.kernels)
        return target
