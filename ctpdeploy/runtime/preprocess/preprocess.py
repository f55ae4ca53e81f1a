"""Preprocessing, the one reference: a case becomes the slices that the networks take.

Training and deployment both call :func:`preprocess`; its constants travel inside the bundle. In order: the
perfusion window from q(t) (equations 2, 3), C_e frames, the temporal maximum F_l (equation 1), scaling to [0, 1],
and resampling of each slice to the networks' grid where the case has another.

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
from ctpdeploy.runtime.preprocess.perfusion_window import perfusion_window
from ctpdeploy.runtime.preprocess.temporal_summary import summarise

__all__ = [
    "FEATURE_NAMES",
    "PreprocessConfig",
    "from_network_grid",
    "pixel_steps",
    "preprocess",
    "scale_dwi",
    "stored_config",
    "to_network_grid",
    "triangle",
]

FEATURE_NAMES = ("cbf", "cbv", "mtt", "tmax", "mip")
"""Channels of ``SliceBatch.features``: F_o and F_l."""


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """Constants of all that surrounds the networks; those of a bundle or a run are read by :func:`stored_config`.

    Attributes:
        slice_shape: rows and columns of the networks' grid; normalisation statistics span all of it.
        run_length: K of equations 2 and 3.
        frames: C_e, frames given to the feature extractor.
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
    run_length: int = 5
    frames: int = 6
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
    window = perfusion_window(summary.curve, run_length=config.run_length, frames=config.frames)
    frames = (_clip_to_window(case.series[t], *config.cta_window) for t in window.frames)
    features = (
        _to_percentile(case.maps["cbf"], config.flow_percentile),
        _to_percentile(case.maps["cbv"], config.flow_percentile),
        _clip_to_window(case.maps["mtt"], 0.0, config.time_window),
        _clip_to_window(case.maps["tmax"], 0.0, config.time_window),
        _clip_to_window(summary.maximum, *config.cta_window),
    )
    batch = SliceBatch(
        frames=_channels(frames, config.frames, case, config),
        features=_channels(features, len(features), case, config),
        dwi=None if case.dwi is None else to_network_grid(scale_dwi(case.dwi, config), case, config)[:, None],
    )
    return batch, window


def _channels(
    volumes: Iterable[NDArray[np.float32]], count: int, case: Case, config: PreprocessConfig
) -> NDArray[np.float32]:
    """Volumes of a case side by side on the networks' grid, ``(D, count, *slice_shape)``."""
    joined = np.empty((case.series.shape[1], count, *config.slice_shape), dtype=np.float32)
    for channel, volume in enumerate(volumes):
        joined[:, channel] = to_network_grid(volume, case, config)
    return joined


def scale_dwi(dwi: FloatArray, config: PreprocessConfig) -> NDArray[np.float32]:
    """I_d: a DWI volume scaled so that its minimum is 0 and its percentile 1, clipped there if so configured."""
    return _to_percentile(dwi, config.dwi_percentile, clip=config.dwi_clipped)


def to_network_grid(volume: NDArray[np.float32], case: Case, config: PreprocessConfig) -> NDArray[np.float32]:
    """Resample ``(D, H, W)`` of a case to ``(D, *slice_shape)``: centred, square pixels, cropping nothing.

    Outside the source the result is 0, the scaled value of air. Where the grids agree the input itself is returned.
    """
    return _resize(volume, config.slice_shape, pixel_steps(case, config))


def from_network_grid(volume: NDArray[np.float32], case: Case, config: PreprocessConfig) -> NDArray[np.float32]:
    """The way back of :func:`to_network_grid`: ``(D, *slice_shape)`` to the voxels of the case."""
    rows, columns = pixel_steps(case, config)
    height, width = case.series.shape[2:]
    return _resize(volume, (height, width), (1 / rows, 1 / columns))


def pixel_steps(case: Case, config: PreprocessConfig) -> tuple[float, float]:
    """Size of a network pixel in rows and columns of the case."""
    (height, width), (rows, columns) = case.series.shape[2:], config.slice_shape
    _, dy, dx = case.geometry.spacing
    pixel = max(height * dy / rows, width * dx / columns)
    return round(pixel / dy, 9), round(pixel / dx, 9)  # 1 but for rounding is 1: then nothing is resampled


def _resize(volume: NDArray[np.float32], shape: tuple[int, int], steps: tuple[float, float]) -> NDArray[np.float32]:
    """``rows @ slice @ columns.T`` for each slice; the volume itself where that changes nothing."""
    if volume.shape[1:] == shape and steps == (1.0, 1.0):
        return volume
    rows, columns = (triangle(*sizes) for sizes in zip(volume.shape[1:], shape, steps, strict=True))
    return np.asarray(rows @ volume @ columns.T, dtype=np.float32)


def triangle(size_in: int, size_out: int, step: float) -> NDArray[np.float32]:
    """Linear interpolation as a ``(size_out, size_in)`` matrix, widened to a low-pass filter when it shrinks.

    ``step`` is the size of an output pixel in input pixels; both grids share their centre.
    """
    centre = (np.arange(size_out) - (size_out - 1) / 2) * step + (size_in - 1) / 2
    distance = np.abs(np.arange(size_in)[None, :] - centre[:, None])
    weight = np.clip(1.0 - distance / max(step, 1.0), 0.0, None)
    total = weight.sum(axis=1, keepdims=True)
    return np.divide(weight, total, out=np.zeros_like(weight), where=total > 0).astype(np.float32)


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
