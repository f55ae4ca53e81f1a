"""Choice: the CT perfusion scans of a study, each read from one series however many show it."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.dicom.kinds import CT_PERFUSION, LEAST_TIMES
from ctpdeploy.runtime.dicom.series import Series
from ctpdeploy.runtime.dicom.stack import Stack, find_stacks
from ctpdeploy.runtime.dicom.study import Study

__all__ = ["Scan", "choose_scans"]

_KNOWN_MM: Final = (4.0, 12.0)
"""Thickness of slices that networks have seen; of two series of one scan, that nearer to it is taken: less noise."""

_SAME_SLAB: Final = 0.5
"""Share of the lower slab that lies in the other, from which on two series show one slab."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A CT perfusion scan.

    Attributes:
        series: it is read from.
        stack: of its images.
        findings: on what was left out or chosen from.
    """

    series: Series
    stack: Stack
    findings: tuple[Finding, ...]


def choose_scans(study: Study, series_uid: str = "") -> list[Scan]:
    """The scans of a study, those lower in the body first.

    Args:
        study: with its series judged.
        series_uid: of the series to take whatever its kind; empty for those of the kind of CT perfusion.

    Raises:
        InputError: there is none, one cannot be understood, or two show one scan equally well.
    """
    wanted = [one for one in study.series if series_uid in one.uids] if series_uid else study.perfusion
    if not wanted:
        raise InputError(_none(study, series_uid))
    scans = [scan for series in wanted for scan in _scans(series, alone=bool(series_uid))]
    chosen: list[Scan] = []
    for scan in sorted(scans, key=lambda scan: (_rank(scan), scan.stack.heights)):
        same = [other for other in chosen if _one_scan(scan, other)]
        if not same:
            chosen.append(scan)
        elif _rank(same[0]) == _rank(scan):
            raise InputError(
                f"{same[0].series.called} and {scan.series.called} show one scan in slices of the same thickness: "
                f"choose one by its UID, as --series {same[0].series.uids[0]}."
            )
        else:
            sentence = (
                f"{same[0].series.called.capitalize()} was taken, in slices of {same[0].stack.thickness:g} mm, and not "
                f"{scan.series.called} of the same scan, of {scan.stack.thickness:g} mm."
            )
            note = finding("series-chosen", sentence)
            at = chosen.index(same[0])
            chosen[at] = replace(same[0], findings=(*same[0].findings, note))
    return sorted(chosen, key=lambda scan: scan.stack.heights)


def _scans(series: Series, *, alone: bool) -> list[Scan]:
    stacks = find_stacks(series.planes, series.called)
    least = 2 if alone else LEAST_TIMES
    scans = [stack for stack in stacks if len(stack.times) >= least]
    if not scans:
        longest = max(len(stack.times) for stack in stacks)
        raise InputError(
            f"{series.called} has {longest} points in time, where CT perfusion needs {least}: send it whole."
        )
    left = sum(int(np.prod(stack.shape[:2])) for stack in stacks if stack not in scans)
    findings: tuple[Finding, ...] = ()
    if left:
        sentence = f"{series.called.capitalize()} holds {left} images of other slices; they were left out."
        findings = (finding("images-left-out", sentence),)
    if series.missing:
        sentence = (
            f"Of {series.called}, {series.missing} of the instances up to its highest number are not there: has all "
            "of it arrived?"
        )
        findings = (*findings, finding("images-missing", sentence))
    if len(scans) > 1:
        slabs = ", ".join(_slab(stack) for stack in sorted(scans, key=lambda stack: stack.heights))
        sentence = (
            f"{series.called.capitalize()} holds {len(scans)} slabs, {slabs}: each is a case of its own and shows its "
            "own part of a lesion that reaches farther."
        )
        findings = (*findings, finding("series-in-slabs", sentence))
    return [Scan(series=series, stack=stack, findings=(*stack.findings, *findings)) for stack in scans]


def _slab(stack: Stack) -> str:
    low, high = stack.heights
    return f"{stack.shape[1]} slices every {stack.distance:.3g} mm from {low:.0f} to {high:.0f} mm"


def _rank(scan: Scan) -> tuple[bool, float]:
    """The lower the better: an original before what was derived, a thickness that networks know before others."""
    low, high = _KNOWN_MM
    thickness = scan.stack.thickness
    return "DERIVED" in scan.series.image_type, max(low - thickness, thickness - high, 0.0)


def _one_scan(scan: Scan, other: Scan) -> bool:
    """Whether two show one slab at one time; clocks that cannot be compared do not tell them apart."""
    if scan.series.uids == other.series.uids:
        return False
    (low, high), (low_other, high_other) = scan.stack.heights, other.stack.heights
    common = min(high, high_other) - max(low, low_other)
    if common < _SAME_SLAB * min(high - low, high_other - low_other):
        return False
    if scan.stack.clock != other.stack.clock:
        return True
    ends = [stack.start + float(stack.times[-1]) for stack in (scan.stack, other.stack)]
    return max(scan.stack.start, other.stack.start) < min(ends)


def _none(study: Study, series_uid: str) -> str:
    if series_uid:
        return f"The study holds no series {series_uid}: list them with ctpdeploy inspect."
    found: dict[str, int] = {}
    for verdict in study.verdicts:
        found[verdict.kind] = found.get(verdict.kind, 0) + 1
    held = ", ".join(f"{count} {kind}" for kind, count in found.items())
    faults = [verdict.because for verdict in study.verdicts if verdict.kind == "unreadable"]
    return (
        f"The study holds no {CT_PERFUSION} series among its {len(study.series)} ({held}): see ctpdeploy inspect for "
        f"the reasons. {' '.join(faults[:1])}".rstrip()
    )
