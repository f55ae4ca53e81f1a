"""Preprocessing on the device: the fast twin of :func:`ctpdeploy.runtime.preprocess.preprocess.preprocess`.

::

    maps ──> finite? ──> order statistics ──┐
    series ──> q(t), maximum over time ─────┴─> host: T_s, T_e, frames, percentiles ──> frames, features

The host is waited for once, between the uploads and the scaling: with a few numbers in hand it finds the window by the
reference's own rule and refuses what is not finite, before anything is made of it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.cuda import banded_matrices
from ctpdeploy.runtime.backends.cuda.device import DeviceArray, Event
from ctpdeploy.runtime.backends.cuda.nan_check import flag_nonfinite
from ctpdeploy.runtime.backends.cuda.order_statistics import Percentile, select, values_of
from ctpdeploy.runtime.backends.cuda.resample import Channel, Sampler
from ctpdeploy.runtime.backends.cuda.series_upload import (
    HOUNSFIELD,
    DeviceSeries,
    Rescale,
    padded,
    require_stored,
    send_series,
)
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.data.case import MAP_NAMES, Case
from ctpdeploy.runtime.data.slices import PerfusionWindow, SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import FEATURE_NAMES, PreprocessConfig, network_grid, window_of

__all__ = ["CudaPreprocessor", "DeviceBatch"]

_FLOW_MAPS = ("cbf", "cbv")
"""The maps scaled from their minimum to a percentile, the first of ``MAP_NAMES``; the others are times."""


@dataclass(frozen=True, kw_only=True)
class DeviceBatch:
    """All slices of a case on the device: :class:`ctpdeploy.runtime.preprocess.preprocess.SliceBatch` without a DWI.

    Attributes:
        frames: I*, float32 ``(N, C_e, H, W)``.
        features: F_o and F_l, float32 ``(N, 5, H, W)``.
        window: the perfusion window behind ``frames``.
    """

    frames: DeviceArray
    features: DeviceArray
    window: PerfusionWindow


class CudaPreprocessor:
    """Preprocesses cases on a device, one after the other.

    Args:
        workspace: memory and streams. Its stream of kernels fills the batch: what else reads it is queued there.
        config: the constants.
    """

    def __init__(self, workspace: Workspace, config: PreprocessConfig) -> None:
        self._workspace = workspace
        self._config = config
        self._sources_read: Event = workspace.device.record(workspace.kernels)

    def run(self, case: Case, rescale: Rescale = HOUNSFIELD) -> DeviceBatch:
        """Preprocess a case; the batch is good until the next one.

        Args:
            case: its series may have any strides.
            rescale: what makes HU of the numbers in ``case.series``, where they are not HU already.

        Raises:
            InputError: the series or a map holds NaN or infinity, or the series is neither int16 nor float32.
            BackendError: the device refuses.
        """
        require_stored(case.series)  # before anything is queued
        workspace = self._workspace
        workspace.device.wait(workspace.copies, self._sources_read)  # uploads replace what the last case was made of
        voxels = math.prod(case.series.shape[1:])
        percentile = Percentile.of(voxels, self._config.flow_percentile)
        maps = self._send_maps(case)
        flags = flag_nonfinite(workspace, "maps", maps, voxels)
        ranks = [(0, percentile.below, percentile.above)] * len(_FLOW_MAPS)
        flow_maps = maps.rows(0, len(_FLOW_MAPS))
        keys = select(workspace, flow_maps, voxels, ranks)
        series = send_series(workspace, case.series)
        workspace.finish()

        _require_finite(case, series.sums, flags)
        curve = series.sums * rescale.slope + rescale.intercept * voxels
        window = window_of(curve, self._config)
        flows = [(float(low), percentile.between(*neighbours)) for low, *neighbours in values_of(keys)]
        flows = [(low, high if high > low else math.inf) for low, high in flows]  # a constant volume becomes 0
        batch = self._scale(case, window, maps, flows, series, rescale)
        self._sources_read = workspace.device.record(workspace.kernels)
        return batch

    def fetch(self, batch: DeviceBatch) -> SliceBatch:
        """The batch in host memory, as the reference returns it."""
        frames = self._workspace.fetched("frames", batch.frames)
        features = self._workspace.fetched("features", batch.features)
        self._workspace.finish()
        return SliceBatch(frames=frames.copy(), features=features.copy())

    def _send_maps(self, case: Case) -> DeviceArray:
        """Queue the upload of the maps, float32 ``(4, pitch)``."""
        workspace, shape = self._workspace, case.series.shape[1:]
        voxels = math.prod(shape)
        staged = workspace.pinned("maps", (len(MAP_NAMES), padded(voxels)), np.float32)
        maps = workspace.array("maps", staged.shape, np.float32)
        for i, name in enumerate(MAP_NAMES):
            np.copyto(staged[i, :voxels].reshape(shape), case.maps[name])
            workspace.device.upload(maps.rows(i, i + 1), staged[i : i + 1], workspace.copies)
        workspace.device.wait(workspace.kernels, workspace.device.record(workspace.copies))
        return maps

    def _scale(
        self,
        case: Case,
        window: PerfusionWindow,
        maps: DeviceArray,
        flows: list[tuple[float, float]],
        series: DeviceSeries,
        rescale: Rescale,
    ) -> DeviceBatch:
        """Queue the making of the batch."""
        low, high = self._config.cta_window
        slices, *grid = case.series.shape[1:]
        frames = self._workspace.array("frames", (slices, self._config.frames, *self._config.slice_shape), np.float32)
        features = self._workspace.array(
            "features", (slices, len(FEATURE_NAMES), *self._config.slice_shape), np.float32
        )
        bands = banded_matrices.to_network(network_grid(case, self._config))
        sampler = Sampler(self._workspace, (slices, grid[0], grid[1]), bands)
        times = [(0.0, self._config.time_window)] * (len(MAP_NAMES) - len(flows))
        of_frames = [Channel(row=start, rows=end - start, low=low, high=high) for start, end in window.spans]
        of_maps = [Channel(row=i, low=a, high=b) for i, (a, b) in enumerate(flows + times)]
        of_maximum = [Channel(row=0, low=low, high=high)]
        for_frames, for_maps, for_maximum = sampler.tables(of_frames, of_maps, of_maximum)
        sampler.scale(series.frames, for_frames, frames, 0, rescale)
        sampler.scale(maps, for_maps, features, 0)
        sampler.scale(series.maximum, for_maximum, features, len(of_maps), rescale)
        return DeviceBatch(frames=frames, features=features, window=window)


def _require_finite(case: Case, sums: NDArray[Any], flags: NDArray[Any]) -> None:
    """Refuse NaN and infinity: in the series they reach the sum of their frame, in a map its flag."""
    for i in np.flatnonzero(~np.isfinite(sums)):
        raise InputError(
            f"Frame {i} of the series of {case.identifier} holds NaN or infinity: "
            "make it again, with 0 outside the brain."
        )
    for i in np.flatnonzero(flags):
        raise InputError(
            f"The {MAP_NAMES[i].upper()} map of {case.identifier} holds NaN or infinity: "
            "make it again, with 0 outside the brain."
        )
