"""From the networks' output on the device to a mask in the voxels of the case.

The reference is :mod:`ctpdeploy.runtime.preprocess.postprocess`.

Where the grids agree the result is the reference's to the last bit; else probabilities are within 1e-6, relative, and
the mask may differ where one lies as near to the threshold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import GuardError
from ctpdeploy.runtime.backends.cuda import banded_matrices
from ctpdeploy.runtime.backends.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.backends.cuda.nan_check import flag_nonfinite
from ctpdeploy.runtime.backends.cuda.resample import band_arguments, row_bytes
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid

__all__ = ["CudaPostprocessor", "QueuedFinding"]

_BLOCKS = 1024


@dataclass(frozen=True, kw_only=True)
class QueuedFinding:
    """Results on their way to page-locked memory of the host; valid when the stream of kernels has come so far.

    Attributes:
        case: whose finding it is.
        flags: 1 for an output with NaN or infinity, int32 ``(1,)``, by its name.
        mask: uint8, a number for each voxel.
        volumes: outputs in the voxels of the case, float32, by the same names.
    """

    case: Case
    flags: Mapping[str, NDArray[np.int32]]
    mask: NDArray[np.uint8]
    volumes: Mapping[str, NDArray[np.float32]]


class CudaPostprocessor:
    """Turns network output into findings, one case after the other.

    Args:
        workspace: memory and streams; the networks have run in its stream of kernels.
        config: the constants of the preprocessing.
    """

    def __init__(self, workspace: Workspace, config: PreprocessConfig) -> None:
        self._workspace = workspace
        self._config = config

    def queue(self, case: Case, probability: DeviceArray, pseudo_dwi: DeviceArray | None) -> QueuedFinding:
        """Queue everything from the outputs of the networks to host memory.

        Args:
            case: whose slices they are.
            probability: float32 ``(N, H, W)``, on the networks' grid.
            pseudo_dwi: float32 ``(N, 1, H, W)``.

        Raises:
            BackendError: the device refuses.
        """
        workspace = self._workspace
        outputs = {"probability": probability} | ({} if pseudo_dwi is None else {"pseudo-DWI": pseudo_dwi})
        flags = {name: self._flag(name, output) for name, output in outputs.items()}
        volumes = self._in_voxels(outputs, case)
        mask = workspace.fetched("mask", self._mask(volumes["probability"]))
        found = {name: workspace.fetched(f"{name} of the case", volume) for name, volume in volumes.items()}
        return QueuedFinding(case=case, flags=flags, mask=mask, volumes=found)

    def collect(self, queued: QueuedFinding) -> tuple[BoolArray, NDArray[np.float32], NDArray[np.float32] | None]:
        """Wait for it: mask, probability and pseudo-DWI, where there is one, in the voxels of the case.

        Raises:
            GuardError: an output holds NaN or infinity; that is never an empty mask.
            BackendError: the device refuses.
        """
        self._workspace.finish()
        for name, flag in queued.flags.items():
            if flag.any():
                raise GuardError(
                    f"The {name} of {queued.case.identifier} holds NaN or infinity: no mask is written; "
                    "check the bundle."
                )
        shape = queued.case.series.shape[1:]
        volumes = {name: volume.reshape(shape).copy() for name, volume in queued.volumes.items()}
        return queued.mask.reshape(shape).astype(np.bool_), volumes["probability"], volumes.get("pseudo-DWI")

    def _flag(self, name: str, output: DeviceArray) -> NDArray[np.int32]:
        """Queue the search for what is not finite in a whole output, also where it lies outside the case."""
        row = replace(output, shape=(1, math.prod(output.shape)))
        return flag_nonfinite(self._workspace, name, row, row.shape[1])

    def _in_voxels(self, outputs: dict[str, DeviceArray], case: Case) -> dict[str, DeviceArray]:
        """Outputs in the voxels of the case, ``(D, H, W)``; themselves where the grids agree."""
        grid = banded_matrices.from_network(network_grid(case, self._config))
        if all(band.identity for band in grid):
            return outputs
        tables = band_arguments(self._workspace, "case", grid)
        slices, rows, columns = case.series.shape[1:]
        height, width = self._config.slice_shape
        volumes = {}
        for name, output in outputs.items():
            volumes[name] = self._workspace.array(f"{name} of the case", (slices, rows, columns), np.float32)
            arguments = (output, np.int32(height), np.int32(width), *tables, np.int32(columns), volumes[name])
            self._workspace.launch("resample", (rows, slices, 1), arguments, shared_bytes=row_bytes(width))
        return volumes

    def _mask(self, probability: DeviceArray) -> DeviceArray:
        """1 where the probability of lesion is above the threshold."""
        count = math.prod(probability.shape)
        mask = self._workspace.array("mask", (count,), np.uint8)
        grid = (min(_BLOCKS, -(-count // THREADS)), 1, 1)
        threshold = np.float32(self._config.threshold)
        self._workspace.launch("mask_above", grid, (probability, np.int64(count), threshold, mask))
        return mask
