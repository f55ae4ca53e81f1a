"""Whether a series is what its files claim: a head in HU, complete, in the order of time, with a bolus."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import ndimage

from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.quality.blocks import Blocks

__all__ = ["inspect_series"]

_BRAIN_HU: Final = (15.0, 60.0)
"""Median of the brain's time mean; 30 to 38 are usual."""

_RISE_HU: Final = 2.5
"""Of the brain's mean curve from its least to its greatest; 7 to 18 are usual."""

_CLIPPED: Final = 0.01
"""Of the voxels, that share the greatest mean: bone is of many kinds, and only a window makes it one."""

_JUMP_HU: Final = 12.0
"""Mean change of a slice's blocks from one frame to the next that is doubtful. Steps of contrast and noise of a quarter
of the dose make up to 8, a jerk of 4 mm and 3 degrees 10, or 35 at the vertex, where bone comes into the slice."""

_FEWEST: Final = 5
"""Blocks of a slice, for a jump: the only one at a vertex may be half of the sagittal sinus, and change by 22 HU."""

_BROKEN_HU: Final = 22.0
"""Median change, impossible: that jerk makes 5, or 16 at the vertex, a frame that is missing by half or more 31 and
above."""

_UNEVEN: Final = (2.3, 4.5)
"""Total variation of the brain's mean curve over its range, likewise: 1.6 to 2 are usual, motion makes up to 3, frames
sorted as text make 5 and more."""

_WASH_OUT: Final = 0.1
"""Of the range, that the first frames lie above the last: recirculation keeps the last 0.3 higher."""

_NOT_LEFT: Final = 0.55
"""Of the rise, that is left in the last frames: recirculation leaves 0.32 to 0.46 in whole series, in nine tenths of
one 0.51 at most, in half of one 0.84 in the median."""

_NEXT_SLICE: Final = (0.6, 0.5)
"""Brain of a slice over the largest, and of the next over its: right ones beside one of 0.6 have 0.7 of it at least,
with slices of 12 mm too."""

_MOVED_MM: Final = 1.5
"""For more than half a second or two; heads at rest have 0.01, whatever their contrast."""

_LASTING: Final = 5
"""Frames of which most show a movement, or it was no lasting one."""

_NO_BASELINE: Final = 0.2
"""Of the range, that the first frames lie above the least."""


def inspect_series(seen: Blocks) -> tuple[Finding, ...]:
    """Findings on the voxels of a series."""
    jumps = tuple(_jumps(seen)) if seen.inside.any() else ()
    if any(found.severity == "refusal" for found in jumps):
        return jumps  # whatever else would be found is of these frames
    median = float(np.median(seen.mean[seen.brain])) if seen.brain.any() else 0.0
    if not _BRAIN_HU[0] <= median <= _BRAIN_HU[1]:
        brain = f"its brain has {median:.3g}" if seen.brain.any() else "no brain is seen in it"
        sentence = (
            f"The series has means from {seen.mean.min():.3g} to {seen.mean.max():.3g}, and {brain}: is it a head in "
            "HU, with a brain of 30 to 40 and most of its skull? Check the rescale slope and intercept of its "
            "conversion, and the field of view."
        )
        return (finding("series-not-hu", sentence),)
    found = (*_clipped(seen), *_without_brain(seen))
    if not seen.inside.any():
        return found
    return (
        *jumps,
        *found,
        *_repeated(seen),
        *_moved(seen),
        *_course(seen.frames[:, seen.inside].mean(axis=1, dtype=np.float64)),
    )


def _clipped(seen: Blocks) -> Iterator[Finding]:
    """Of values above a window's end."""
    greatest = float(seen.mean.max())
    share = float(np.mean(seen.mean == greatest))
    if share > _CLIPPED:
        sentence = (
            f"{100 * share:.0f} % of the series' voxels have its greatest value, {greatest:.4g}: it seems clipped to a "
            "window, and arteries and bone with it; export all of its range."
        )
        yield finding("series-clipped", sentence)


def _without_brain(seen: Blocks) -> Iterator[Finding]:
    """Of slices beside one with brain."""
    sizes = np.count_nonzero(seen.brain, axis=(1, 2))
    beside = np.pad(sizes, 1)
    beside = np.maximum(beside[:-2], beside[2:])
    few = np.flatnonzero((beside >= _NEXT_SLICE[0] * sizes.max()) & (sizes < _NEXT_SLICE[1] * beside))
    if len(few):
        sentence = (
            f"Slice {few[0]} (counted from 0) shows {100 * sizes[few[0]] / beside[few[0]]:.0f} % of the brain of the "
            "slice beside it, and no lesion is found in the rest: is its skull open or cut off, or its image bad?"
        )
        yield finding("slice-without-brain", sentence)


def _repeated(seen: Blocks) -> Iterator[Finding]:
    """Of frames that are the one before over again: noise never is."""
    shown = seen.frames[:, seen.inside.any(axis=(1, 2))]
    same = np.flatnonzero((shown[1:] == shown[:-1]).all(axis=(2, 3)).any(axis=1))
    if len(same):
        sentence = (
            f"{len(same)} of {len(shown)} frames are the one before over again, in at least one slice, the first is "
            f"frame {same[0] + 1} (counted from 0): were frames lost, or copied twice? Export the series again."
        )
        yield finding("frames-identical", sentence)


def _moved(seen: Blocks) -> Iterator[Finding]:
    """Of a head that does not lie where it lay at first."""
    far = np.hypot(*ndimage.median_filter(seen.moved, (_LASTING, 1)).T)
    if far.max() > _MOVED_MM:
        frame = int(np.argmax(far > _MOVED_MM))
        sentence = (
            f"The head lies up to {far.max():.1f} mm from where it was first, more than {_MOVED_MM:g} mm from frame "
            f"{frame} (counted from 0) on: correct the series for motion, or maps and lesion may be wrong."
        )
        yield finding("head-moved", sentence)


def _jumps(seen: Blocks) -> Iterator[Finding]:
    """Of a slice from one frame to the next."""
    changes = np.abs(np.diff(seen.frames, axis=0)) * seen.inside
    of_slice = changes.sum(axis=(2, 3)) / np.maximum(np.count_nonzero(seen.inside, axis=(1, 2)), 1)
    enough = np.count_nonzero(seen.inside, axis=(1, 2)) >= _FEWEST
    doubtful = np.argwhere((of_slice >= _JUMP_HU) & enough)
    if not len(doubtful):
        return
    usual = [float(np.median(changes[frame, place][seen.inside[place]])) for frame, place in doubtful]
    frame, place = doubtful[int(np.argmax(usual))]
    sentence = (
        f"Slice {place} changes by {of_slice[frame, place]:.0f} HU from frame {frame} to frame {frame + 1} (all "
        "counted from 0): is a frame blank, saturated or cut, or did the head move far? Look at these frames, and "
        "export the series again."
    )
    yield finding("frames-jump" if max(usual) < _BROKEN_HU else "frames-broken", sentence)


def _course(curve: FloatArray) -> Iterator[Finding]:
    """Of the brain's mean curve ``(T,)``."""
    rise = float(np.ptp(curve))
    if rise < _RISE_HU:
        sentence = f"The brain's mean changes by {rise:.1f} HU in all: no contrast agent is seen in the series."
        yield finding("series-without-bolus", sentence)
        return
    uneven = float(np.abs(np.diff(curve)).sum()) / rise
    if uneven > _UNEVEN[0]:
        sentence = (
            f"The brain's mean curve goes up and down {uneven:.1f} times its range, a bolus about twice: did the head "
            "move, or are frames out of order, as names sorted as text are (1, 10, 11, 2)?"
        )
        yield finding("series-uneven" if uneven < _UNEVEN[1] else "series-disordered", sentence)
    ends = max(2, len(curve) // 10)
    first, last = float(curve[:ends].mean()), float(curve[-ends:].mean())
    if first - last > _WASH_OUT * rise:
        sentence = (
            f"The brain is {first - last:.1f} HU brighter at the start of the series than at its end: is time "
            "reversed, or did the scan begin after the contrast agent had come?"
        )
        yield finding("series-reversed", sentence)
    elif first - float(curve.min()) > _NO_BASELINE * rise:
        sentence = (
            f"The brain's mean falls by {first - float(curve.min()):.1f} HU after the first frames: the series has no "
            "baseline before the bolus."
        )
        yield finding("series-without-baseline", sentence)
    peak = float(curve.max())
    if last - first > _NOT_LEFT * (peak - first):
        sentence = (
            f"The brain is {last - first:.1f} HU brighter at the end of the series than at its start, and "
            f"{peak - first:.1f} at its peak: the scan ended before the contrast agent had left, and a lesion may be "
            "larger than found."
        )
        yield finding("series-ends-early", sentence)
