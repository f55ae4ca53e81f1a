"""The scan: slices, field of view and frame times, drawn as often as ISLES 2018 has them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.head import BRAIN_CENTRE, TOP_Z
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Protocol", "draw_protocol", "interpolation"]

THICKNESS = {2: (10.0, 12.0), 4: (5.0, 6.0), 8: (5.0, 5.0), 16: (10.0, 10.0), 22: (4.0, 4.0)}
"""Slice thickness in mm for each number of slices in ISLES 2018."""

BOTTOM = {2: (4.0, 32.0), 4: (0.0, 28.0), 8: (-12.0, 14.0), 16: (-68.0, -68.0), 22: (-20.0, 0.0)}
"""Lower end of the slab in mm for each number of slices: 16 slices hold all of the head, thin slabs lie above the
circle of Willis, as their weak arterial peaks in ISLES 2018 show (42 HU with 2 slices, 272 with 16)."""

FINE_MM = 3.0
"""Thickness at most of the fine slices that make a slice."""

SLICE_SHARES = {2: 0.54, 4: 0.20, 8: 0.10, 16: 0.14, 22: 0.02}
FRAMES = (43, 44, 45, 46, 49, 53, 61, 64)
NATIVE_INTERVALS = (1.0, 1.5, 2.0)
"""Frame intervals of scanners, in units of the interval on disk, to which ISLES 2018 was resampled."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The scan protocol of a patient.

    Attributes:
        grid: the voxels.
        times: frame times on disk ``(T,)`` in s.
        native: the scanner's own frame times in s.
    """

    grid: Grid
    times: FloatArray
    native: FloatArray


def interpolation(native: FloatArray, times: FloatArray) -> NDArray[np.float32]:
    """Linear interpolation as a matrix ``(len(times), len(native))``: at most two entries a row, of sum 1."""
    right = np.clip(np.searchsorted(native, times), 1, len(native) - 1)
    share = (times - native[right - 1]) / (native[right] - native[right - 1])
    blend = np.zeros((len(times), len(native)), dtype=np.float32)
    rows = np.arange(len(times))
    blend[rows, right - 1] = 1 - share
    blend[rows, right] = share
    return blend


def draw_protocol(config: PhantomConfig, rng: np.random.Generator) -> Protocol:
    """Draw what the configuration leaves open."""
    slices = int(rng.choice(list(SLICE_SHARES), p=list(SLICE_SHARES.values())))  # drawn even if given: same stream
    slices = config.slices or slices
    known = min(THICKNESS, key=lambda known: abs(known - slices))
    thickness = rng.uniform(*THICKNESS[known])
    frames = int(rng.choice(FRAMES))
    frames = config.frames or frames
    interval = max(1.0, FRAMES[0] / frames)
    times = interval * np.arange(frames)
    step = interval * rng.choice(NATIVE_INTERVALS)
    grid = Grid.centred(
        size=config.size,
        slices=slices,
        subslices=config.subslices or int(np.ceil(thickness / FINE_MM)),
        fov=rng.uniform(205.0, 266.0),
        thickness=thickness,
        bottom=min(rng.uniform(*BOTTOM[known]), TOP_Z - slices * thickness),
        centre_y=BRAIN_CENTRE[1],
    )
    return Protocol(grid=grid, times=times, native=np.arange(0.0, times[-1] + step - 1e-9, step))
