"""Motion of the head during the scan: its place in each frame, and the frames that result.

::

    place of a point p in a frame   p' = c + R(turn) (p - c) + shift      c the centre of the field of view

A random walk with normal steps of 0.3 mm along each axis and 0.15 degrees a frame, and one jerk of up to 4 mm and 3
degrees, after which the head stays in its new place. All of it is in the plane of the slices; motion across them is not
simulated, as there is no data between slices of 4 to 12 mm. DWI, made of the same fine slices as CT, may also lie
higher or lower, by up to 4 mm: its own slices are 5 mm thick or more, and were resampled to those of CT.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctpdeploy.phantom.fields import Volume

__all__ = ["Motion", "Offset", "displace", "draw_motion", "draw_offset", "move"]

STEP_MM, STEP_DEGREES = 0.3, 0.15
JERK_MM, JERK_DEGREES = 4.0, 3.0
OFFSET_MM, UP_MM = (0.5, 2.0), 4.0

SPLINE_REACH = 14
"""Pixels, beyond which weights of an interpolating cubic spline are under 1e-8."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Place of the head in each frame, ``(T,)``, relative to that of everything else of the patient.

    Attributes:
        right_mm, front_mm: shift.
        turn_degrees: turn from the patient's right to the front.
    """

    right_mm: tuple[float, ...]
    front_mm: tuple[float, ...]
    turn_degrees: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Offset:
    """Where DWI and the lesion drawn on it lie relative to everything else of the patient, in mm."""

    right_mm: float
    front_mm: float
    up_mm: float


def draw_motion(rng: np.random.Generator, frames: int, strength: float) -> Motion | None:
    """Draw the motion of a scan, which begins at rest; ``strength`` multiplies it, 0 is none."""
    if not strength:
        return None
    steps = rng.normal(0.0, (STEP_MM, STEP_MM, STEP_DEGREES), (frames, 3))
    steps[0] = 0.0
    jerk, angle = rng.uniform(0.0, JERK_MM), rng.uniform(0.0, 2 * np.pi)
    steps[rng.integers(1, frames)] += (
        jerk * np.cos(angle),
        jerk * np.sin(angle),
        rng.uniform(-JERK_DEGREES, JERK_DEGREES),
    )
    return _motion(strength * np.cumsum(steps, axis=0))


def draw_offset(rng: np.random.Generator, strength: float) -> Offset:
    """Draw the shift of DWI, 0.5 to 2 mm in the plane and up to 4 mm across it, times ``strength``."""
    length, angle, up = rng.uniform(*OFFSET_MM), rng.uniform(0.0, 2 * np.pi), rng.uniform(-UP_MM, UP_MM)
    right, front, up = (
        round(float(strength * value), 3) for value in (length * np.cos(angle), length * np.sin(angle), up)
    )
    return Offset(right_mm=right, front_mm=front, up_mm=up)


def move(series: Volume, motion: Motion | None, pixel: float) -> Volume:
    """Frames ``(T, D, H, W)`` of a head that moves, by cubic splines; ``pixel`` in mm.

    A frame in which the head is at rest comes out as it is, to the bit.
    """
    if motion is None:
        return series
    moved = series.copy()
    centre = (np.array(series.shape[-2:]) - 1) / 2
    for frame, right, front, turn in zip(moved, motion.right_mm, motion.front_mm, motion.turn_degrees, strict=True):
        if right or front or turn:
            cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
            back = np.array([[cos, -sin], [sin, cos]])  # the inverse turn, on (front, right)
            start = centre - back @ (centre + np.array([front, right]) / pixel)
            for image in frame:
                image[:] = ndimage.affine_transform(image, back, start, order=3, mode="nearest")
    return moved


def displace(image: Volume, offset: Offset, pixel: float) -> Volume:
    """An image ``(D, H, W)`` shifted in the plane, by cubic splines, with zeros around it; ``pixel`` in mm."""
    if not (offset.right_mm or offset.front_mm):
        return image
    down, across = (
        _shift(size, mm / pixel) for size, mm in zip(image.shape[1:], (offset.front_mm, offset.right_mm), strict=True)
    )
    return down @ image @ across.T


def _shift(size: int, pixels: float) -> NDArray[np.float32]:
    """Weights ``(size, size)`` of the pixels of a line in each shifted one, with zeros around the line.

    They are those of one pixel moved along: splines reach ``SPLINE_REACH`` far, and smaller weights are left out, as
    products with numbers near the least that float32 holds take ten times as long.
    """
    reach = SPLINE_REACH + int(np.ceil(abs(pixels)))
    line = np.zeros(2 * reach + 1, dtype=np.float32)
    line[reach] = 1.0
    kernel = ndimage.shift(line, pixels, order=3)
    distance = np.arange(size)[:, None] - np.arange(size)
    return np.where(abs(distance) <= reach, kernel[np.clip(distance, -reach, reach) + reach], np.float32(0))


def _motion(places: Volume) -> Motion:
    """Of shifts and turns ``(T, 3)``, to 0.001 mm and degrees, so that the record of them is exact."""
    right, front, turn = (tuple(axis.tolist()) for axis in places.round(3).T)
    return Motion(right_mm=right, front_mm=front, turn_degrees=turn)
