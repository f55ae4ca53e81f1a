"""From what lies on the device to the networks' input: rows of a source, scaled to [0, 1] and laid on their grid.

Where the grids agree the result is the reference's to the last bit. Where they differ, both add up the same products
of the same float32 weights, in an order that the reference leaves to its matrix library: within 1e-6, relative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from ctpdeploy.runtime.backends.cuda.banded_matrices import Bands
from ctpdeploy.runtime.backends.cuda.device import THREADS, Argument, DeviceArray
from ctpdeploy.runtime.backends.cuda.series_upload import HOUNSFIELD, SUFFIXES, Rescale
from ctpdeploy.runtime.backends.cuda.workspace import Workspace

__all__ = ["Channel", "Sampler"]

_FOUR = 4
_CHANNEL = np.dtype([("row", np.int32), ("rows", np.int32), ("low", np.float32), ("range", np.float32)])


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel.

    Attributes:
        row: of the source, the first that it is the mean of.
        low: the value there that becomes 0.
        high: the value there that becomes 1.
        rows: how many it is the mean of.
    """

    row: int
    low: float
    high: float
    rows: int = 1

    @property
    def entry(self) -> tuple[int, int, float, float]:
        """As the kernels take it."""
        return self.row, self.rows, self.low, self.high - self.low


class Sampler:
    """Scales channels and lays them on the networks' grid, in the stream of kernels.

    Args:
        workspace: where.
        shape: slices, rows and columns of the sources ``(D, H, W)``.
        grid: rows and columns of the resampling.
    """

    def __init__(self, workspace: Workspace, shape: tuple[int, int, int], grid: tuple[Bands, Bands]) -> None:
        self._workspace = workspace
        self._shape = shape
        _, height, width = shape
        self._plain = all(bands.identity for bands in grid) and height * width % _FOUR == 0
        self._tables = () if self._plain else band_arguments(workspace, "network", grid)

    def tables(self, *groups: Sequence[Channel]) -> list[DeviceArray]:
        """Groups of channels on the device, in one upload: what :meth:`scale` takes."""
        entries = [channel.entry for group in groups for channel in group]
        table = self._workspace.sent("channels", np.array(entries, dtype=_CHANNEL))
        bounds = [0, *accumulate(len(group) for group in groups)]
        return [table.rows(start, stop) for start, stop in pairwise(bounds)]

    def scale(
        self,
        source: DeviceArray,
        channels: DeviceArray,
        target: DeviceArray,
        first: int,
        rescale: Rescale = HOUNSFIELD,
    ) -> None:
        """Queue the making of some channels.

        Args:
            source: int16 or float32 ``(rows, pitch)``, each row a volume ``(D, H, W)``.
            channels: of which rows, ``(C,)``, from :meth:`tables`.
            target: float32 ``(D, >= first + C, *slice_shape)``.
            first: the channel of ``target`` that the first of them becomes.
            rescale: stored numbers to the unit of the channels.
        """
        (slices, height, width), (_, of_channels, *grid) = self._shape, target.shape
        head: tuple[Argument, ...] = (
            source,
            np.int64(source.shape[1]),
            np.float64(rescale.slope),
            np.float64(rescale.intercept),
            channels,
        )
        tail = (target, np.int32(of_channels), np.int32(first))
        count, suffix = channels.shape[0], SUFFIXES[source.dtype]
        if self._plain:
            blocks = -(-height * width // (_FOUR * THREADS))
            arguments = (*head, np.int64(height * width), *tail)
            self._workspace.launch(f"scale_{suffix}", (blocks, slices, count), arguments)
        else:
            arguments = (*head, np.int32(height), np.int32(width), *self._tables, np.int32(grid[1]), *tail)
            self._workspace.launch(
                f"scale_resampled_{suffix}", (grid[0], slices, count), arguments, shared_bytes=row_bytes(width)
            )


def row_bytes(width: int) -> int:
    """Shared memory in which the kernels resample a row of ``width`` pixels."""
    return width * np.dtype(np.float32).itemsize


def band_arguments(workspace: Workspace, name: str, grid: tuple[Bands, Bands]) -> tuple[Argument, ...]:
    """Rows and columns of a resampling as the kernels take them."""
    arguments: list[Argument] = []
    for axis, bands in zip(("rows", "columns"), grid, strict=True):
        arguments += [
            workspace.sent(f"first {axis} to the {name}", bands.first),
            workspace.sent(f"weights of {axis} to the {name}", bands.weights),
            np.int32(bands.weights.shape[1]),
        ]
    return tuple(arguments)
