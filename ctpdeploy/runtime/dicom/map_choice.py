"""Map choice: which maps of a study are taken for a scan: all four of one maker on the scan's own slices, or none."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.dicom.choice import Scan
from ctpdeploy.runtime.dicom.copies import without_copies
from ctpdeploy.runtime.dicom.perfusion_maps import MapImage, PerfusionMap, find_maps
from ctpdeploy.runtime.dicom.plane import Plane
from ctpdeploy.runtime.dicom.stack import Stack
from ctpdeploy.runtime.dicom.study import Study

__all__ = ["Candidate", "MapChoice", "choose_maps"]

_ASIDE: Final = 0.1
"""Of a voxel, by which an image of a map may lie beside that of the scan: what rounded texts make."""

_TO_RAS: Final = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A map of a study beside a scan of it.

    Attributes:
        map: of the study.
        images: of it on the slices of the scan, in their order; none where it does not lie there.
        because: why it is not taken, a clause; empty where it is.
    """

    map: PerfusionMap
    images: tuple[MapImage, ...] = ()
    because: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class MapChoice:
    """For a scan.

    Attributes:
        candidates: all maps of the study.
        taken: one for each of ``MAP_NAMES``, or none at all.
        findings: on what was taken, or why nothing was of a study that has maps.
    """

    candidates: Sequence[Candidate] = ()
    taken: Mapping[str, Candidate] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def choose_maps(study: Study, scans: Sequence[Scan]) -> list[MapChoice]:
    """The choice for each scan of a study.

    Raises:
        MissingPackageError: pydicom is not installed, and the study has maps.
    """
    found = find_maps(study)
    beside = [[_beside(one, scan) for one in found] for scan in scans]
    uses = Counter(id(image) for of_scan in beside for one in of_scan for image in one.images)
    return [_choice([_unshared(one, uses) for one in of_scan]) for of_scan in beside]


def _unshared(one: Candidate, uses: Mapping[int, int]) -> Candidate:
    if all(uses[id(image)] == 1 for image in one.images):
        return one
    return replace(one, images=(), because="it lies on several scans of one slab, and nothing says of which it is")


def _choice(beside: Sequence[Candidate]) -> MapChoice:
    of_makers: dict[tuple[str, str], list[Candidate]] = {}
    for one in beside:
        if one.images:
            of_makers.setdefault(one.map.origin, []).append(one)
    whole = [those for those in of_makers.values() if sorted(one.map.name for one in those) == sorted(MAP_NAMES)]
    taken = {one.map.name: one for one in whole[0]} if len(whole) == 1 else {}
    candidates = [
        replace(one, because=_why_left(one, of_makers[one.map.origin], len(whole)))
        if one.images and one not in taken.values()
        else one
        for one in beside
    ]
    return MapChoice(
        candidates=candidates,
        taken={name: taken[name] for name in MAP_NAMES if taken},
        findings=tuple(_on_taken(taken) if taken else _on_left(candidates)),
    )


def _why_left(one: Candidate, of_maker: Sequence[Candidate], whole: int) -> str:
    """Why a map that lies on the scan is not taken."""
    twins = [other.map.series.called for other in of_maker if other.map.name == one.map.name]
    if len(twins) > 1:
        return f"there are {len(twins)} of {one.map.title} ({' and '.join(dict.fromkeys(twins))})"
    if whole:
        return "another maker's maps are taken" if whole == 1 else f"there are {whole} makers' sets of four maps"
    names = {other.map.name for other in of_maker}
    missing = [name.upper() for name in MAP_NAMES if name not in names]
    return f"it has no {', '.join(missing)} beside it" if missing else "another of its set is there twice"


def _beside(found: PerfusionMap, scan: Scan) -> Candidate:
    """A map and its images on the slices of a scan."""
    if found.series.patient != scan.series.patient:
        return Candidate(map=found, because="it has another patient ID, or name where there is none, than the scan")
    try:
        return Candidate(map=found, images=_on_slices(found, scan.stack))
    except InputError as error:
        return Candidate(map=found, because=str(error).rstrip("."))


def _on_slices(found: PerfusionMap, stack: Stack) -> tuple[MapImage, ...]:
    """The images of a map on the slices of a stack, in their order.

    Raises:
        InputError: they do not lie there, or the map cannot be read.
    """
    if found.fault:
        raise InputError(found.fault)
    images = {id(image.plane): image for image in found.images}
    planes, _ = without_copies([image.plane for image in found.images], found.series.called)
    if any(plane.frame_of_reference != stack.planes[0][0].frame_of_reference for plane in planes):
        raise InputError("it is in another frame of reference")
    on_slices: dict[int, MapImage] = {}
    for plane in planes:
        size = plane.storage.rows, plane.storage.columns
        if size != stack.shape[2:]:
            raise InputError(f"it has {size[0]} x {size[1]} pixels, the scan {stack.shape[2]} x {stack.shape[3]}")
        k, aside = _place(plane, stack)
        if not 0 <= k < stack.shape[1]:
            continue  # of more slices than the scan, as where it has two slabs
        if aside > _ASIDE:
            raise InputError(f"its images lie {aside:.2g} voxels beside the scan's, and none is resampled")
        if k in on_slices:
            raise InputError(f"it has two images at z = {plane.position[2]:.1f} mm")
        on_slices[k] = images[id(plane)]
    if len(on_slices) < stack.shape[1]:
        raise InputError(f"it lies on {len(on_slices)} of the scan's {stack.shape[1]} slices")
    return tuple(on_slices[k] for k in range(stack.shape[1]))


def _place(plane: Plane, stack: Stack) -> tuple[int, float]:
    """The slice of a stack that a plane of its size lies at, and how many voxels a corner of it lies beside that."""
    along, down = np.reshape(plane.orientation, (2, 3))
    rows, columns = stack.shape[2:]
    across, below = (columns - 1) * plane.spacing[1], (rows - 1) * plane.spacing[0]
    first = np.asarray(plane.position)
    corners = np.stack([first, first + across * along, first + below * down]) * _TO_RAS
    found: NDArray[np.float64] = np.linalg.solve(stack.affine[:3, :3], (corners - stack.affine[:3, 3]).T).T
    k = round(float(found[0, 2]))
    expected = np.array([[0, 0, k], [columns - 1, 0, k], [0, rows - 1, k]])
    return k, float(np.abs(found - expected).max())


def _on_taken(taken: Mapping[str, Candidate]) -> Iterator[Finding]:
    listed = ", ".join(
        f"{one.map.title} in {one.map.unit} by {one.map.known_by} ({one.map.series.called})"
        for one in (taken[name] for name in MAP_NAMES)
    )
    yield finding("maps-of-study", f"The maps are the study's own, not computed ones: {listed}.")
    for one in taken.values():
        scales = {image.scale for image in one.images}
        if len(scales) > 1 and len({str(image.plane.file) for image in one.images}) == len(one.images):
            sentence = (
                f"{one.map.title} ({one.map.series.called}) has {len(scales)} scales among its images: values of one "
                "slice may not be those of another."
            )
            yield finding("rescale-varies", sentence)


def _on_left(candidates: Sequence[Candidate]) -> Iterator[Finding]:
    """On a study's maps of which none is taken; nothing on a study without."""
    missed = [one for one in candidates if one.map.is_missed]
    if missed and all(one.map.in_colour for one in missed):
        listed = ", ".join(f"{one.map.title} ({one.map.series.called})" for one in missed)
        yield finding("maps-in-colour", f"The study's colour maps hold no values: {listed}.")
        return
    reasons: dict[str, list[str]] = {}
    for one in missed:
        reasons.setdefault(one.because, []).append(f"{one.map.title} ({one.map.series.called})")
    if reasons:
        listed = "; ".join(f"{', '.join(those)}: {because}" for because, those in reasons.items())
        yield finding("maps-not-used", f"The study's maps were not used. {listed}.")
