"""The perfusion window: from when to when contrast passes through the head (equations 2 and 3).

With q(t) the intensity summed over all voxels of frame t and d[t] = q[t+1] - q[t]::

    T_s = min { t : d[t], ..., d[t+K-1] > 0 }        the first of K rising steps
    T_e = max { t : d[t-K], ..., d[t-1] < 0 }        the last after K falling steps

Equation 2 ranges over 0 <= t < T-K, which fits the forward difference, equation 3 over K <= t < T, which fits the
backward one. A flat step is neither: with H(0) = 0 a padded tail would count as perfusion.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.preprocess.temporal_summary import summarise

__all__ = ["accumulated_intensity", "perfusion_window"]


def accumulated_intensity(series: NDArray[Any]) -> FloatArray:
    """q(t): the sum of each frame of ``(T, D, H, W)`` over all voxels, float64 ``(T,)``."""
    return summarise(series).curve


def perfusion_window(curve: FloatArray, *, run_length: int, frames: int) -> PerfusionWindow:
    """Find T_s and T_e in q(t) and choose the frames.

    Args:
        curve: q(t), ``(T,)`` with T >= 2, finite.
        run_length: K, the number of steps that must rise or fall without a break.
        frames: C_e, how many frames to take, uniformly from T_s to T_e.

    Where no run is found, T_s is the first and T_e the last frame; where fewer than C_e frames lie between them,
    the whole series is taken, with repeated frames if even that is too short. Each fallback is a finding.
    """
    last = len(curve) - 1
    steps = np.diff(curve)
    rising = _run_starts(steps > 0, run_length)
    falling = _run_starts(steps < 0, run_length) + run_length
    found: list[Finding] = []

    start, end = 0, last
    if rising.size:
        start = int(rising[0])
    else:
        sentence = f"No {run_length} rising steps in q(t): the window starts at the first frame."
        found.append(finding("window-start", sentence))
    falling = falling[falling > start]
    if falling.size:
        end = int(falling[-1])
    else:
        sentence = f"No {run_length} falling steps in q(t) after T_s: the window ends at the last frame."
        found.append(finding("window-end", sentence))
    if end - start + 1 < frames:
        start, end = 0, last
        sentence = f"Fewer than {frames} frames in the window: the whole series is taken."
        found.append(finding("window-short", sentence))
    if last + 1 < frames:
        sentence = f"The series has {last + 1} frames: some of the {frames} are repeated."
        found.append(finding("frames-repeated", sentence))
    # floor(x + 0.5), not numpy's banker's rounding, so that C++ and CUDA choose the same frames
    chosen = np.floor(np.linspace(start, end, frames) + 0.5).astype(int)
    return PerfusionWindow(start=start, end=end, frames=tuple(chosen.tolist()), curve=curve, findings=tuple(found))


def _run_starts(condition: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """Every t for which ``condition[t : t + length]`` is all true."""
    if condition.size < length:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(condition, length).all(axis=1))
