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


def perfusion_window(curve: FloatArray, *, run_length: int, frames: int, means: bool = False) -> PerfusionWindow:
    """Find T_s and T_e in q(t) and choose the frames.

    Args:
        curve: q(t), ``(T,)`` with T >= 2, finite.
        run_length: K, the number of steps that must rise or fall without a break.
        frames: C_e, how many frames to take, uniformly from T_s to T_e.
        means: take the mean of each C_e-th of the frames from T_s to T_e instead.

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
    spans = _shares(start, end, frames) if means else _single(start, end, frames)
    return PerfusionWindow(start=start, end=end, spans=spans, curve=curve, findings=tuple(found))


def _single(start: int, end: int, count: int) -> tuple[tuple[int, int], ...]:
    """Frames uniformly from the first to the last, each by itself."""
    return tuple((t, t + 1) for t in _rounded(np.linspace(start, end, count)))


def _shares(start: int, end: int, count: int) -> tuple[tuple[int, int], ...]:
    """All frames from the first to the last in equal shares, of at least one frame."""
    edges = _rounded(np.linspace(start, end + 1, count + 1))
    firsts = [min(edge, end) for edge in edges[:-1]]
    return tuple((first, max(edge, first + 1)) for first, edge in zip(firsts, edges[1:], strict=True))


def _rounded(places: FloatArray) -> list[int]:
    """The nearest frames; halves go up, not to the even one as numpy's do, so that C++ and CUDA choose the same."""
    return [int(place) for place in np.floor(places + 0.5)]


def _run_starts(condition: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """Every t for which ``condition[t : t + length]`` is all true."""
    if condition.size < length:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(condition, length).all(axis=1))
