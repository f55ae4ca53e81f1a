"""Percentiles of volumes on the device, exactly: the neighbouring order statistics, found digit by digit.

A float32 sorts as the unsigned number key(x): its bits with the sign turned if it is positive, with all turned if it
is negative. The key of the value with rank r is found in four digits of 8 bits, highest first: count the digits of all
keys that begin as it does, go to the digit in which r falls, subtract what lies below. Integer counts have no order of
summation, so the result is always the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.backends.cuda.workspace import Workspace

__all__ = ["RANKS", "Percentile", "select", "values_of"]

RANKS = 3
"""Order statistics looked for in each volume (``RANKS`` of the kernels)."""

_BLOCKS = 128
_DIGITS = 256


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """The two order statistics that ``numpy.percentile`` interpolates between.

    Attributes:
        below: rank of the lower one, from 0.
        above: rank of the upper one.
        fraction: where between them the percentile lies.
    """

    below: int
    above: int
    fraction: float

    @classmethod
    def of(cls, count: int, percentile: float) -> "Percentile":
        """Of ``count`` values: it has rank ``(count - 1) * percentile / 100``."""
        rank = (count - 1) * (percentile / 100)
        below = min(math.floor(rank), count - 1)
        return cls(below=below, above=min(below + 1, count - 1), fraction=rank - below)

    def between(self, below: np.float32, above: np.float32) -> float:
        """The percentile, rounded in float32 where NumPy rounds (2.2 and later; earlier ones interpolate in double)."""
        step = above - below
        if self.fraction >= 0.5:
            return float(above - step * np.float32(1 - self.fraction))
        return float(below + step * np.float32(self.fraction))


def select(
    workspace: Workspace, volumes: DeviceArray, count: int, ranks: Sequence[Sequence[int]]
) -> NDArray[np.uint32]:
    """Queue the search for order statistics.

    Args:
        workspace: where it happens, in the stream of kernels.
        volumes: float32 ``(V, pitch)``, no NaN among them.
        count: how many values of each row are taken.
        ranks: ``(V, RANKS)``, each below ``count``.

    Returns:
        uint32 ``(V, RANKS)``, the keys of those values, for :func:`values_of`: on the host once the stream has come so
        far.
    """
    rows, pitch = volumes.shape
    shape = (rows, RANKS)
    left = workspace.sent("ranks", np.array(ranks, dtype=np.uint32).reshape(shape))
    keys = workspace.sent("keys", np.zeros(shape, dtype=np.uint32))
    histograms = workspace.sent("histograms", np.zeros((*shape, _DIGITS), dtype=np.uint32))
    blocks = min(_BLOCKS, -(-count // THREADS))
    for shift in (24, 16, 8, 0):
        counted = (volumes, np.int64(pitch), np.int64(count), np.int32(shift), keys, histograms)
        workspace.launch("count_digits", (blocks, rows, 1), counted)
        workspace.launch("select_digit", (rows, 1, 1), (histograms, np.int32(shift), keys, left))
    return workspace.fetched("keys", keys)


def values_of(keys: NDArray[np.uint32]) -> NDArray[np.float32]:
    """The float32 numbers with these keys."""
    sign = np.uint32(0x80000000)
    return np.where(keys & sign, keys ^ sign, ~keys).astype(np.uint32).view(np.float32)
