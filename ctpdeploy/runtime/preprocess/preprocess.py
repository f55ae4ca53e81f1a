"""Preprocessing, the one reference: a case becomes the slices that the networks take.

Training and deployment both call :func:`preprocess`; its constants travel inside the bundle. In order: the
perfusion window from q(t) (equations 2, 3), C_e frames, the temporal maximum F_l (equation 1), scaling to [0, 1],
and resampling of each slice to the networks' grid (:mod:`ctpdeploy.runtime.preprocess.network_grid`).

Scaling: the source states it for DWI alone (minimum to 99th percentile of the volume). The same rule serves CBF and
CBV, whose units differ between vendors; MTT and Tmax are seconds, CT is HU, and keep fixed windows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.config import merge
from ctpdeploy.runtime.data.case import Case, FloatArray
from ctpdeploy.runtime.data.slices import PerfusionWindow, SliceBatch
from ctpdeploy.runtime.preprocess.network_grid import NetworkGrid
from ctpdeploy.runtime.preprocess.perfusion_window import perfusion_window
from ctpdeploy.runtime.preprocess.temporal_summary import summarise

__all__ = [
    "FEATURE_NAMES",
    "PreprocessConfig",
    "network_grid",
    "preprocess",
    "scale_dwi",
    "stored_config",
    "window_of",
]

FEATURE_NAMES = ("cbf", "cbv", "mtt", "tmax", "mip")
"""Channels of ``SliceBatch.features``: F_o and F_l."""


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """Constants of all that surrounds the networks; those of a bundle or a run are read by :func:`stored_config`.

    Attributes:
        slice_shape: rows and columns of the networks' grid; normalisation statistics span all of it.
        pixel_mm: side of a pixel of that grid, which then is a field of fixed size around the head; 0 for the whole
            slice, whatever the size of its pixels, as in the source.
        run_length: K of equations 2 and 3.
        frames: C_e, frames given to the feature extractor.
        frame_means: whether each of these is the mean of its share of the window; one frame of it, as in the source, if
            not.
        cta_window: HU that become 0 and 1 in the frames and in the MIP.
        flow_percentile: percentile of a CBF or CBV volume that becomes 1.
        time_window: seconds of MTT and Tmax that become 1.
        dwi_percentile: percentile of a DWI volume that becomes 1 (section 4.1 of the source).
        dwi_clipped: whether what is above that becomes 1 too. The source prints no clipping, and an infarct lies above
            the 99th percentile: clipped, half of its voxels cannot be told from the brightest of the healthy brain.
        threshold: lesion where its probability is above. With two classes it is the likelier one above 0.5; a run finds
            its own at its end (:mod:`ctpdeploy.train.calibration`), and a bundle states that.
    """

    slice_shape: tuple[int, int] = (256, 256)
    pixel_mm: float = 0.0
    run_length: int = 5
    frames: int = 6
    frame_means: bool = False
    cta_window: tuple[float, float] = (0.0, 200.0)
    flow_percentile: float = 99.0
    time_window: float = 20.0
    dwi_percentile: float = 99.0
    dwi_clipped: bool = False
    threshold: float = 0.5


def stored_config(values: Mapping[str, object], where: str) -> PreprocessConfig:
    """The constants that a bundle or a run was made with; one that does not state ``dwi_clipped`` clipped.

    Raises:
        UsageError: a value is unknown or of another type.
    """
    return merge(PreprocessConfig(dwi_clipped=True), values, where=where)


def preprocess(case: Case, config: PreprocessConfig) -> tuple[SliceBatch, PerfusionWindow]:
    """The network input of a case, and the perfusion window that its frames were taken from."""
    summary = summarise(case.series)
    window = window_of(summary.curve, config)
    grid, slices = network_grid(case, config), case.series.shape[1]
    frames = (_clip_to_window(_mean(case.series[first:end]), *config.cta_window) for first, end in window.spans)
    features = (
        _to_percentile(case.maps["cbf"], config.flow_percentile),
        _to_percentile(case.maps["cbv"], config.flow_percentile),
        _clip_to_window(case.maps["mtt"], 0.0, config.time_window),
        _clip_to_window(case.maps["tmax"], 0.0, config.time_window),
        _clip_to_window(summary.maximum, *config.cta_window),
    )
    batch = SliceBatch(
        frames=_channels(frames, slices, config.frames, grid),
        features=_channels(features, slices, len(features), grid),
        dwi=None if case.dwi is None else grid.resample(scale_dwi(case.dwi, config))[:, None],
    )
    return batch, window


def _channels(
    volumes: Iterable[NDArray[np.float32]], slices: int, count: int, grid: NetworkGrid
) -> NDArray[np.float32]:
    """Volumes of a case side by side on the networks' grid, ``(slices, count, *slice_shape)``."""
    joined = np.empty((slices, count, *grid.shape), dtype=np.float32)
    for channel, volume in enumerate(volumes):
        joined[:, channel] = grid.resample(volume)
    return joined


def scale_dwi(dwi: FloatArray, config: PreprocessConfig) -> NDArray[np.float32]:
    """I_d: a DWI volume scaled so that its minimum is 0 and its percentile 1, clipped there if so configured."""
    return _to_percentile(dwi, config.dwi_percentile, clip=config.dwi_clipped)


def window_of(curve: FloatArray, config: PreprocessConfig) -> PerfusionWindow:
    """The perfusion window of q(t) ``(T,)``."""
    return perfusion_window(curve, run_length=config.run_length, frames=config.frames, means=config.frame_means)


def network_grid(case: Case, config: PreprocessConfig) -> NetworkGrid:
    """The networks' grid among the pixels of a case."""
    if config.pixel_mm:
        return NetworkGrid.of_head(case, config.slice_shape, config.pixel_mm)
    return NetworkGrid.of_slice(case, config.slice_shape)


def _mean(frames: NDArray[Any]) -> NDArray[Any]:
    """Mean of ``(T, D, H, W)`` over time, float64; a single frame as it is."""
    return frames[0] if len(frames) == 1 else np.asarray(frames.mean(axis=0, dtype=np.float64))


def _clip_to_window(volume: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Scale ``low .. high`` to 0 .. 1 and clip."""
    scaled = _scale(volume, low, high)
    return np.clip(scaled, 0.0, 1.0, out=scaled)


def _scale(volume: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Scale ``low .. high`` to 0 .. 1."""
    scaled = volume.astype(np.float32)
    scaled -= np.float32(low)
    scaled /= np.float32(high - low)
    return scaled


def _to_percentile(volume: FloatArray, percentile: float, *, clip: bool = True) -> NDArray[np.float32]:
    """Scale minimum .. percentile of the volume to 0 .. 1 and clip, or leave the rest; a constant volume becomes 0."""
    low, high = float(volume.min()), float(np.percentile(volume, percentile))
    if high <= low:
        return np.zeros(volume.shape, dtype=np.float32)
    return _clip_to_window(volume, low, high) if clip else _scale(volume, low, high)
