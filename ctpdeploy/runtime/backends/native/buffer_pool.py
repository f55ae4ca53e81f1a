"""Memory of images, used again: fresh memory costs its first touch, a tenth of the time of the networks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memory", "Pixels"]


class Memory:
    """Keeps what images leave behind for those that come."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.float32]]] = {}

    def take(self, size: int) -> NDArray[np.float32]:
        """So many values, of whatever was there before."""
        kept = self._free.get(size)
        return kept.pop() if kept else np.empty(size, np.float32)

    def give(self, array: NDArray[np.float32]) -> None:
        """Have memory used again."""
        self._free.setdefault(array.size, []).append(array)


class Pixels:
    """Values of an image, float32 ``(H, W, C)``, whose memory goes back when nobody holds them any more.

    Args:
        memory: where it comes from.
        shape: ``(H, W, C)``, C a multiple of 8.

    Attributes:
        array: the values.
        moments: mean and variance of each channel, once they were asked for.
    """

    def __init__(self, memory: Memory, shape: tuple[int, int, int]) -> None:
        self._memory = memory
        self._flat = memory.take(int(np.prod(shape)))
        self.array = self._flat.reshape(shape)
        self.moments: tuple[NDArray[Any], NDArray[Any]] | None = None

    def __del__(self) -> None:
        self._memory.give(self._flat)
