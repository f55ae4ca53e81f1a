"""Large vessels as tubes along centre lines, and the small ones of the brain's surface.

Centre lines are MNI-like millimetres as in :mod:`ctpdeploy.phantom.head`, radii in mm, both chosen after the
usual calibres (internal carotid 4 to 5 mm, M1 3 mm, superior sagittal sinus 6 to 7 mm in diameter).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.fields import Volume, smooth_noise
from ctpdeploy.phantom.head import Head, Place, Point

__all__ = ["VESSELS", "Vessel", "pial_fraction", "tubes"]

Ranges = tuple[tuple[Volume, Volume], ...]
"""Least and largest coordinate in mm, by index along z, y and x."""

Box = tuple[slice, slice, slice]
"""Fine voxels, by index along z, y and x."""

JITTER_MM = 1.2
BRANCH_RADIUS = 0.5
"""Of M2, A2 and P2, in mm; half their calibre. With it the artery found in two slices peaks at 60 HU, with 1.1 at 180;
in ISLES 2018 it has 42 HU."""

PIAL_FRACTION = 0.35


@dataclass(frozen=True, kw_only=True)
class Vessel:
    """A vessel of the right side or the midline.

    Attributes:
        name: the anatomist's short name.
        radius: mm.
        points: centre line.
        paired: whether the left side has its mirror image.
        vein: whether venous blood flows in it.
    """

    name: str
    radius: float
    points: tuple[Point, ...]
    paired: bool = True
    vein: bool = False


VESSELS = (
    Vessel(name="ICA", radius=2.3, points=((12, 0, -30), (13, 3, -14))),
    Vessel(name="M1", radius=1.6, points=((13, 3, -14), (24, 2, -13), (36, 4, -10))),
    Vessel(
        name="M2 superior",
        radius=BRANCH_RADIUS,
        points=((36, 4, -10), (41, 8, 0), (42, 14, 12), (48, 20, 26), (56, 12, 40)),
    ),
    Vessel(
        name="M2 inferior",
        radius=BRANCH_RADIUS,
        points=((36, 4, -10), (42, -8, 0), (45, -24, 10), (52, -40, 22), (56, -48, 36)),
    ),
    Vessel(
        name="A2",
        radius=BRANCH_RADIUS,
        points=((13, 3, -14), (3, 18, -10), (3, 36, 0), (3, 38, 16), (3, 16, 34), (3, -20, 44)),
    ),
    Vessel(
        name="P2",
        radius=BRANCH_RADIUS,
        points=((3, -24, -16), (18, -30, -12), (22, -52, -4), (12, -74, 4), (8, -88, 12)),
    ),
    Vessel(name="basilar artery", radius=1.8, points=((0, -24, -40), (0, -24, -16)), paired=False),
    Vessel(name="transverse sinus", radius=3.5, points=((5, -84, -22), (45, -72, -26), (58, -50, -30)), vein=True),
    Vessel(
        name="straight sinus",
        radius=2.0,
        points=((0, -30, 6), (0, -48, 14), (0, -62, 8), (0, -84, -16), (0, -92, -18)),
        paired=False,
        vein=True,
    ),
    Vessel(
        name="superior sagittal sinus",
        radius=3.2,
        points=(
            (0, 62, 18),
            (0, 56, 48),
            (0, 30, 70),
            (0, -30, 82),
            (0, -70, 66),
            (0, -92, 34),
            (0, -98, 6),
            (0, -92, -18),
        ),
        paired=False,
        vein=True,
    ),
)


def tubes(head: Head, rng: np.random.Generator) -> Iterator[tuple[Vessel, int, Box, Volume]]:
    """Every vessel in the slab: the vessel, its side (+1 right, -1 left), a box of fine voxels and its share of them.

    The share is ``clip((radius - distance) / pixel + 1/2, 0, 1)``, the partial volume at the wall.
    """
    pixel = head.grid.spacing[2]
    ranges, shares = _ranges(head), np.zeros(head.x.shape, dtype=np.float32)
    for vessel in VESSELS:
        for side in (1, -1) if vessel.paired else (1,):
            line = np.array(vessel.points, dtype=np.float64)
            line[1:-1] += rng.normal(0.0, JITTER_MM, size=(len(line) - 2, 3))
            line[:, 0] *= side
            reach = vessel.radius + pixel
            box = _box(ranges, line, reach)
            if box is None:
                continue
            for segment in pairwise(line):
                near = _box(ranges, np.array(segment), reach)
                if near is not None:
                    distance = _segment_distance((head.x[near], head.y[near], head.z[near]), *segment)
                    share = np.clip((vessel.radius - distance) / pixel + 0.5, 0, 1)
                    np.maximum(shares[near], share, out=shares[near])
            yield vessel, side, box, shares[box].copy()
            shares[box] = 0


def pial_fraction(head: Head, rng: np.random.Generator) -> Volume:
    """Share of small arteries in the subarachnoid CSF, up to ``PIAL_FRACTION``."""
    noise = smooth_noise(rng, 1.2, head.grid)
    return np.where(head.csf & (head.depth < 22), np.clip(0.5 * (noise - 1.2), 0, PIAL_FRACTION), 0).astype(np.float32)


def _ranges(head: Head) -> Ranges:
    """Of z in each fine slice, of y in each row, of x in each column."""
    axes = ((head.z, (1, 2)), (head.y, (0, 2)), (head.x, (0, 1)))
    return tuple((volume.min(axis=others), volume.max(axis=others)) for volume, others in axes)


def _box(ranges: Ranges, line: NDArray[np.float64], reach: float) -> Box | None:
    """The box that holds all fine voxels within ``reach`` mm of points on a polyline, if there are any."""
    low, high = line.min(axis=0) - reach, line.max(axis=0) + reach
    spans = []
    for (least, most), bottom, top in zip(
        ranges, low[::-1], high[::-1], strict=True
    ):  # few lie in a thin slab: z first
        near = np.flatnonzero((least < top) & (most > bottom))
        if not near.size:
            return None
        spans.append(slice(int(near[0]), int(near[-1]) + 1))
    z, y, x = spans
    return z, y, x


def _segment_distance(place: Place, start: NDArray[np.float64], end: NDArray[np.float64]) -> Volume:
    """Distance in mm to the segment from ``start`` to ``end``."""
    along = (end - start).astype(np.float32)
    from_start = [axis - np.float32(origin) for axis, origin in zip(place, start, strict=True)]
    share = np.clip(sum(a * b for a, b in zip(from_start, along / (along @ along), strict=True)), 0, 1)
    return np.sqrt(sum((a - share * b) ** 2 for a, b in zip(from_start, along, strict=True)))
