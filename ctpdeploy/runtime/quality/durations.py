"""Whether seconds are seconds: how long the bolus takes by the frame times, and MTT and Tmax beside it.

Ranks are blind to them: a wrong frame interval, or Tmax counted in frames, changes no rank.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax
from ctpdeploy.runtime.quality.agreement import FEWEST, SMOOTH_FRAMES, shown
from ctpdeploy.runtime.quality.baseline import baseline_mean
from ctpdeploy.runtime.quality.blocks import Blocks

__all__ = ["inspect_bolus", "inspect_durations"]

_BOLUS_S: Final = (11.0, 25.0)
"""Of the brain's curves above half of their peak, in the median; 13 to 21 are usual. By twice or half the frame
interval all of 72 right series are out of it."""

_MTT: Final = (0.3, 0.75)
"""Median of MTT over that of the bolus; right maps have 0.40 to 0.57, and of 72 none is in it twice or half as long."""

_TMAX: Final = (0.2, 0.65)
"""Median of Tmax, on the side with less delay, over that of MTT; right maps have 0.25 to 0.54. Twice as long
62 of 72 are out of it, half as long 45."""


def inspect_bolus(seen: Blocks, times: FloatArray) -> Iterator[Finding]:
    """Findings on the times of frames ``(T,)`` in s, by the bolus of the series."""
    if not seen.inside.any():
        return
    bolus = float(np.median(_widths(seen.frames[:, seen.inside], times)))
    if not _BOLUS_S[0] <= bolus <= _BOLUS_S[1]:
        sentence = (
            f"The brain's curves stay above half of their peak for {bolus:.0f} s, of most patients for {_BOLUS_S[0]:g} "
            f"to {_BOLUS_S[1]:g}: are the frames {float(np.median(np.diff(times))):.3g} s apart, as taken?"
        )
        yield finding("bolus-unusual", sentence)


def inspect_durations(maps: Mapping[str, FloatArray], seen: Blocks, times: FloatArray) -> Iterator[Finding]:
    """Findings on the seconds of MTT and Tmax.

    Args:
        maps: by the names of ``MAP_NAMES``, ``(D, H, W)``, not negative.
        seen: the series.
        times: of its frames ``(T,)`` in s.
    """
    blocks = shown(maps, seen, by=3) & seen.inside
    if np.count_nonzero(blocks) < FEWEST:
        return
    tmax, mtt = (seen.means(maps[name]) for name in ("tmax", "mtt"))
    bolus, transit = float(np.median(_widths(seen.frames[:, blocks], times))), float(np.median(mtt[blocks]))
    if not _MTT[0] * bolus <= transit <= _MTT[1] * bolus:
        sentence = (
            f"The median MTT is {transit:.2g} s, and the bolus takes {bolus:.2g} s in the series, of which {_MTT[0]:g} "
            f"to {_MTT[1]:g} are usual: is MTT in seconds, and is the frame interval right?"
        )
        yield finding("durations-contradict", sentence)
    healthy = healthy_tmax(tmax, blocks)
    if healthy is not None and not _TMAX[0] * transit <= healthy <= _TMAX[1] * transit:
        sentence = (
            f"The median Tmax of the hemisphere with less delay is {healthy:.2g} s, and MTT {transit:.2g} s, of which "
            f"{_TMAX[0]:g} to {_TMAX[1]:g} are usual: are both in seconds, and not in frames?"
        )
        yield finding("durations-contradict", sentence)


def _widths(frames: FloatArray, times: FloatArray) -> FloatArray:
    """Seconds that curves ``(T, n)``, in HU, spend above half of their peak, ``(n,)``."""
    smooth = ndimage.uniform_filter1d(frames - baseline_mean(frames), SMOOTH_FRAMES, axis=0, mode="nearest")
    high = smooth >= 0.5 * smooth.max(axis=0)
    return np.asarray(np.gradient(times) @ high)
