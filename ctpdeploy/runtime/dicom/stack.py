"""Stack: a full grid of planes, evenly spaced places by phases, that one volume a phase can be made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.dicom.clocks import CLOCKS, Clock, Reading, read_clocks
from ctpdeploy.runtime.dicom.copies import without_copies
from ctpdeploy.runtime.dicom.phases import match_phases
from ctpdeploy.runtime.dicom.places import find_places, normal_of, require_still
from ctpdeploy.runtime.dicom.plane import Plane

__all__ = ["Stack", "find_stacks"]

_EVEN: Final = 0.02
"""How far the distance of two slices may be from the others', as a share of it or in mm, whichever is more."""

_MOST_LOST: Final = 5
"""Slices missing between two slabs of one spacing; from more on, they are two."""

_MOST_SLABS: Final = 4
"""Slabs of one thickness taken at once: skull base and brain are two; more are one whose slices lie unevenly."""

_LONGEST_GAP: Final = 60.0
"""Seconds between two phases; protocols that thin out in the end have 15 or 30."""

_SQUARE: Final = 0.01
"""Share of a side by which the other may differ."""

_ONE_TIME: Final = 0.02
"""Share of an interval by which the slices of a phase may be apart and count as taken at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """A grid of planes.

    Attributes:
        planes: ``[T][Z]``, phases by time, slices along the normal of their images.
        affine: float64 ``(4, 4)``, from column, row and slice to RAS+ coordinates in mm; slanted under a tilted gantry.
        thickness: of a slice in mm; 0 where it is not stated.
        clock: the times were read from.
        start: of the first phase, by the clock.
        times: of the phases ``(T,)``, the mean of their slices, in the unit of the clock; the first image is at 0.
        slice_times: of each phase and slice ``(T, Z)``; None where the slices of each phase were taken at once.
        findings: on what was left out.
    """

    planes: tuple[tuple[Plane, ...], ...]
    affine: NDArray[np.float64]
    thickness: float
    clock: Clock
    start: float
    times: NDArray[np.float64]
    slice_times: NDArray[np.float64] | None
    findings: tuple[Finding, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Phases, slices, rows and columns."""
        storage = self.planes[0][0].storage
        return len(self.planes), len(self.planes[0]), storage.rows, storage.columns

    @property
    def heights(self) -> tuple[float, float]:
        """The lowest and the highest of its slices' centres on the axis of the body, in mm."""
        ends = [float(plane.position[2]) for plane in (self.planes[0][0], self.planes[0][-1])]
        return min(ends), max(ends)

    @property
    def distance(self) -> float:
        """Of two slices along their normal, in mm."""
        sides = np.linalg.norm(self.affine[:3, :2], axis=0)
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / float(sides.prod())


def find_stacks(planes: Sequence[Plane], called: str) -> list[Stack]:
    """The stacks that planes of a series make, from foot to head or whatever way their normal shows.

    Slices of different sizes, directions or thickness are in stacks of their own, and so are slabs at different
    distances or taken one after the other.

    Args:
        planes: of a series, each placed.
        called: name of the series in errors.

    Raises:
        InputError: the planes have more than one frame of reference or way of storing pixels, no clock tells them
            apart, one is missing, they do not lie on a line at even distances, or those of one place lie apart.
    """
    spaces = {plane.frame_of_reference for plane in planes}
    if len(spaces) > 1:
        raise InputError(
            f"{called} has images in {len(spaces)} frames of reference, between which no position can be compared: "
            "send those of one scan."
        )
    stored = {(plane.storage.signed, plane.storage.allocated, plane.storage.stored) for plane in planes}
    if len(stored) > 1:
        raise InputError(f"{called} stores its pixels in {len(stored)} ways, as no scanner does: send it again.")
    alike: dict[object, list[Plane]] = {}
    for plane in planes:
        sizes = [round(size, 4) for size in plane.spacing]
        grid = (plane.storage.rows, plane.storage.columns, round(plane.thickness, 2), *sizes)
        alike.setdefault((*grid, *plane.directions), []).append(plane)
    return [stack for group in alike.values() for stack in _stacks(group, called)]


def _stacks(planes: list[Plane], called: str) -> Iterator[Stack]:
    planes, copies = without_copies(planes, called)
    places = find_places(planes, normal_of(planes[0].orientation, called))
    reading = _clock(planes, places.of_planes, called)
    require_still(planes, places.of_planes, reading.values, reading.clock.unit, called)
    for low, high in _runs(places.heights, _spans(places.of_planes, reading.values), called):
        inside = np.flatnonzero((places.of_planes >= low) & (places.of_planes < high))
        yield _stack(
            [planes[i] for i in inside],
            places.of_planes[inside] - low,
            places.positions[low:high],
            places.heights[low:high],
            Reading(clock=reading.clock, values=reading.values[inside], twins=None),
            called,
            copies,
        )


def _clock(planes: Sequence[Plane], of_planes: NDArray[np.int64], called: str) -> Reading:
    """The most trusted clock that tells the planes of every place apart.

    Raises:
        InputError: none does.
    """
    with_twins = []
    for reading in read_clocks(planes, of_planes):
        if reading.twins is None:
            return reading
        with_twins.append(reading)
    if with_twins:
        first, second = (planes[i] for i in with_twins[0].twins or ())
        raise InputError(
            f"{called} has two different images at z = {first.position[2]:.1f} mm with one {with_twins[0].clock.name}, "
            f"{first.file.name} and {second.file.name}: remove the one that is not of this scan."
        )
    if len(np.unique(of_planes)) == len(planes):  # one volume
        return Reading(clock=CLOCKS[0], values=np.zeros(len(planes)), twins=None)
    raise InputError(
        f"{called} does not state when its images were taken: send it with its AcquisitionTime, or give NIfTI files "
        "and --frame-interval."
    )


def _spans(of_planes: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """First and last time of each place ``(Z, 2)``."""
    count = int(of_planes.max()) + 1
    spans = np.full((count, 2), (np.inf, -np.inf))
    np.minimum.at(spans[:, 0], of_planes, times)
    np.maximum.at(spans[:, 1], of_planes, times)
    return spans


def _runs(heights: NDArray[np.float64], spans: NDArray[np.float64], called: str) -> list[tuple[int, int]]:
    """Evenly spaced runs of places that were taken at the same time: first place, and the one behind the last.

    Raises:
        InputError: slices are missing at all times, or lie unevenly.
    """
    gaps = np.diff(heights)
    overlap = np.minimum(spans[1:, 1], spans[:-1, 1]) - np.maximum(spans[1:, 0], spans[:-1, 0])
    together = overlap >= 0.5 * np.maximum(np.ptp(spans[1:], axis=1), np.ptp(spans[:-1], axis=1))
    runs, start = [], 0
    for place in range(1, len(heights)):
        even = place == start + 1 or _equal(gaps[place - 1], gaps[start])
        if not (together[place - 1] and even):
            runs.append((start, place))
            start = place
    runs.append((start, len(heights)))
    for (start, stop), (_, stop_next) in pairwise(runs):
        before, gap = gaps[start] if stop - start > 1 else 0.0, gaps[stop - 1]
        after = gaps[stop] if stop_next - stop > 1 else 0.0
        lost = round(gap / before) - 1 if before else 0
        multiple = abs(gap - (lost + 1) * before) <= max(_EVEN * before, _EVEN)
        if together[stop - 1] and 0 < lost <= _MOST_LOST and multiple and (not after or _equal(before, after)):
            raise InputError(
                f"{called} lacks {lost} slices between {heights[stop - 1]:.1f} and {heights[stop]:.1f} mm at all "
                "times: send it again."
            )
    if sum(bool(together[stop - 1]) for _, stop in runs[:-1]) >= _MOST_SLABS:
        raise InputError(
            f"{called} has slices at uneven distances, {gaps.min():.2f} to {gaps.max():.2f} mm, that make no volume: "
            "reconstruct them evenly spaced."
        )
    return runs


def _equal(gap: float, other: float) -> bool:
    return abs(gap - other) <= max(_EVEN * other, _EVEN)


def _stack(
    planes: Sequence[Plane],
    of_planes: NDArray[np.int64],
    positions: NDArray[np.float64],
    heights: NDArray[np.float64],
    reading: Reading,
    called: str,
    findings: tuple[Finding, ...],
) -> Stack:
    start = float(reading.values.min())

    def name(place: int, time: float) -> str:
        return f"{called}: the image at {heights[place]:.1f} mm of {time - start:.1f} {reading.clock.unit}"

    phases = match_phases(of_planes, reading.values, name)
    if phases.dropped:
        lost = len(heights) - len(phases.dropped)
        sentence = f"The last phase lacks {lost} of {len(heights)} slices, the first of them at "
        held = set(of_planes[list(phases.dropped)].tolist())
        missing = next(place for place in range(len(heights)) if place not in held)
        findings = (*findings, finding("phase-dropped", f"{sentence}{heights[missing]:.1f} mm: it is left out."))
    times = np.round(phases.times - phases.times.min(), 6)  # as exactly as they are stated
    centre = times.mean(axis=1)
    rows, columns = planes[0].spacing
    if abs(rows - columns) > _SQUARE * max(rows, columns):
        sentence = (
            f"{called.capitalize()} states pixels of {rows:g} x {columns:g} mm, and scanners make square ones: was its "
            "header changed? Volumes and shapes may be wrong."
        )
        findings = (*findings, finding("pixels-not-square", sentence))
    scales = {(plane.slope, plane.intercept) for plane in planes}
    if len(scales) > 1 and len({str(plane.file) for plane in planes}) == len(planes):
        sentence = f"{called.capitalize()} has {len(scales)} rescales among its images, where scanners have one."
        findings = (*findings, finding("rescale-varies", sentence))
    _require_one_run(centre, reading.clock, called)
    at_once = len(times) < 2 or np.ptp(times, axis=1).max() <= _ONE_TIME * float(np.median(np.diff(centre)))
    return Stack(
        planes=tuple(tuple(planes[i] for i in row) for row in phases.planes),
        affine=_affine(planes[0], positions, called),
        thickness=planes[0].thickness,
        clock=reading.clock,
        start=float(phases.times.min()),
        times=times[:, 0] - times[0, 0] if at_once else np.round(centre, 6),
        slice_times=None if at_once else times,
        findings=findings,
    )


def _require_one_run(times: NDArray[np.float64], clock: Clock, called: str) -> None:
    """Refuse phases between which so much time passed that they are not of one scan.

    Raises:
        InputError: it did.
    """
    gaps = np.diff(times)
    if clock.unit == "s" and gaps.size and gaps.max() > _LONGEST_GAP:
        place = int(gaps.argmax())
        raise InputError(
            f"{called} pauses for {gaps[place]:.0f} s behind {place + 1} of {len(times)} phases, so that it is not one "
            "scan: send the phases of one."
        )


def _affine(plane: Plane, positions: NDArray[np.float64], called: str) -> NDArray[np.float64]:
    """From column, row and slice to RAS+ coordinates of evenly spaced planes."""
    count = len(positions)
    along, down = np.reshape(plane.orientation, (2, 3))
    if count > 1:
        step = (positions[-1] - positions[0]) / (count - 1)
        line = positions[0] + np.arange(count)[:, None] * step
        if np.abs(line - positions).max() > max(_EVEN * float(np.linalg.norm(step)), 5 * _EVEN):
            raise InputError(f"{called} has slices that do not lie one behind the other: send those of one scan.")
    else:
        step = np.cross(along, down) * (plane.thickness or 1.0)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along * plane.spacing[1], down * plane.spacing[0]
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
