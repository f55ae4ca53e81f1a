"""A pool of buffers for tensors: the first touch of fresh memory costs a tenth of the time of the networks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BufferPool", "PooledBuffer"]


class BufferPool:
    """Free buffers by size."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.float32]]] = {}

    def take(self, size: int) -> NDArray[np.float32]:
        """A buffer of so many float32 values, not initialised."""
        kept = self._free.get(size)
        return kept.pop() if kept else np.empty(size, np.float32)

    def give(self, array: NDArray[np.float32]) -> None:
        """Return a buffer to the pool."""
        self._free.setdefault(array.size, []).append(array)


class PooledBuffer:
    """A float32 array ``(H, W, C)`` whose buffer returns to its pool when the last reference is gone.

    Args:
        pool: source of the buffer.
        shape: ``(H, W, C)``, C a multiple of 8.

    Attributes:
        array: the values.
        moments: mean and variance of each channel, once computed.
    """

    def __init__(self, pool: BufferPool, shape: tuple[int, int, int]) -> None:
        self._pool = pool
        self._flat = pool.take(int(np.prod(shape)))
        self.array = self._flat.reshape(shape)
        self.moments: tuple[NDArray[Any], NDArray[Any]] | None = None

    def __del__(self) -> None:
        self._pool.give(self._flat)
