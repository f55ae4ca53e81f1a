"""The raw case of a bundle: a synthetic patient made coarse, on which every constant of preprocessing shows.

The perfusion window rests on q(t) alone, the sum of a frame, and on K, how many steps must rise or fall without a
break. So that any other K finds another window, air is made a little lighter or darker in each frame until q(t) rises
in runs of K - 1, K and K + 1 steps with a step back between them, and falls in runs of K + 1, K and K - 1::

    T_s(K) = K        T_s(K + 1) = 2 K + 1        T_s(less) < K        T_e likewise from the end

Air lies below the window of HU that the networks see, and outside the brain.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.gate.raw_case import RawCase, geometry_of, ramp_mask, slabs_of_thin
from ctpdeploy.runtime.perfusion.frames import resample_frames
from ctpdeploy.runtime.perfusion.maps import perfusion_maps
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

__all__ = ["make_raw_case"]

_SIDE: Final = 128
"""Rows and columns at most, unless arteries are lost in pixels so large."""

_FRAMES: Final = 35
"""At least, so that a bolus has its shape."""


def make_raw_case(sample: Case, constants: PreprocessConfig, perfusion: PerfusionConfig) -> RawCase:
    """Make a sample small, and preprocess it.

    Args:
        sample: a synthetic patient.
        constants: of the preprocessing.
        perfusion: how its maps are computed.

    Raises:
        InputError: no maps can be computed from it.
    """
    block = -(-max(sample.series.shape[2:]) // _SIDE)
    try:
        case = _coarse_case(sample, block, constants, perfusion)
    except InputError:
        case = _coarse_case(sample, 1, constants, perfusion)
    return RawCase(
        case=case,
        expected=preprocess(case, constants)[0],
        slabs=slabs_of_thin(perfusion),
        mask=ramp_mask(case, constants)[0],
    )


def _coarse_case(sample: Case, block: int, constants: PreprocessConfig, perfusion: PerfusionConfig) -> Case:
    series, spacing = _in_blocks(sample, block)
    steps = _steps(constants)
    series, times = _in_time(series, sample.times, len(steps) + 1)
    whole = _with_curve(series, np.cumsum([0, *steps]))
    maps = perfusion_maps(whole, times, tuple(spacing.tolist()), perfusion).maps
    return Case(
        identifier=f"{sample.identifier}-coarse",
        series=whole,
        maps=maps,
        times=times,
        geometry=geometry_of(spacing, whole.shape[1:]),
        dwi=maps["cbf"],
    )


def _in_blocks(case: Case, block: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The series in blocks of pixels, and the size of these."""
    frames, depth, height, width = case.series.shape
    rows, columns = height // block, width // block
    blocks = case.series[:, :, : rows * block, : columns * block].reshape(frames, depth, rows, block, columns, block)
    return blocks.mean(axis=(3, 5), dtype=np.float64), np.array(case.geometry.spacing) * (1, block, block)


def _steps(constants: PreprocessConfig) -> NDArray[np.int64]:
    """Steps of q(t): runs of K - 1, K and K + 1 up, a plateau that leaves room for the frames, and all of it back."""
    k = constants.run_length
    up = [*[1] * (k - 1), -1, *[1] * k, -1, *[1] * (k + 1)]
    flat = max(_FRAMES - 1 - 2 * len(up), constants.frames - 2 * k, 0)
    return np.array([*up, *[0] * flat, *[-step for step in reversed(up)]])


def _in_time(
    series: NDArray[np.float64], times: NDArray[np.floating[Any]], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same scan in another number of frames, as far apart as each other."""
    wanted = np.linspace(times[0], times[-1], frames)
    return resample_frames(series, times, wanted), wanted - wanted[0]


def _with_curve(series: NDArray[np.float64], curve: NDArray[np.int64]) -> NDArray[np.int16]:
    """The series in whole HU, its darkest tenth such that q(t) goes by ``curve``, whose unit is 1 HU of that tenth."""
    flat = np.rint(series).astype(np.int64).reshape(len(series), -1)
    air = np.argsort(flat.mean(axis=0), kind="stable")[: max(1, flat.shape[1] // 10)]
    lacking = flat[0].sum() + curve * len(air) - flat.sum(axis=1)
    each, rest = np.divmod(lacking, len(air))
    flat[:, air] += each[:, None] + (np.arange(len(air)) < rest[:, None])
    whole = np.iinfo(np.int16)
    if flat.min() < whole.min or flat.max() > whole.max:
        raise InputError("A sample of the gate has no air to spare: take a synthetic patient with all of its field.")
    return flat.astype(np.int16).reshape(series.shape)
