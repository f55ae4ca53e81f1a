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


def choose_scans(study: Study, named: str = "") -> list[Scan]:
    """The scans of a study, those lower in the body first.

    Args:
        study: with its series judged.
        named: UID of the series to take whatever its kind, or its number where no other has it; empty for those of
            the kind of CT perfusion.

    Raises:
        InputError: there is none, one cannot be understood, or two show one scan equally well.
    """
    wanted = [_named(study, named)] if named else study.perfusion
    if not wanted:
        raise InputError(_none(study))
    scans = [scan for series in wanted for scan in _scans(series, alone=bool(named))]
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
    return _told_apart(sorted(chosen, key=lambda scan: scan.stack.heights))


def _named(study: Study, named: str) -> Series:
    """The series of a UID or a number.

    Raises:
        InputError: there is none or more than one, or its images are not of several points in time.
    """
    found = study.of_name(named)
    if len(found) != 1:
        those = ", ".join(f"{one.number or '-'} ({one.uids[0]})" for one in found or study.series)
        number = f"{len(found)} series {named}: name one by its UID" if found else f"no series {named}"
        raise InputError(f"The study holds {number}; {'they are' if found else 'it holds'} {those}.")
    verdict = study.verdicts[study.series.index(found[0])]
    if found[0].fault:
        raise InputError(f"{found[0].called} cannot be read: {found[0].fault}.")
    if verdict.extent.times < 2 or verdict.extent.unplaced:
        raise InputError(
            f"{found[0].called} is no scan of several points in time but of the kind {verdict.kind} "
            f"({verdict.because}): name another."
        )
    return found[0]


def _told_apart(scans: list[Scan]) -> list[Scan]:
    """The scans; each says of several that there are others."""
    if len(scans) < 2:
        return scans
    slabs = ", ".join(f"{scan.series.called} with {_slab(scan.stack)}" for scan in scans)
    sentence = (
        f"The study holds {len(scans)} scans or slabs, {slabs}: each is a case of its own and shows its own part of a "
        "lesion that reaches farther."
    )
    note = finding("series-in-slabs", sentence)
    return [replace(scan, findings=(*scan.findings, note)) for scan in scans]


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


def _none(study: Study) -> str:
    found: dict[str, int] = {}
    for verdict in study.verdicts:
        found[verdict.kind] = found.get(verdict.kind, 0) + 1
    held = ", ".join(f"{count} {kind}" for kind, count in found.items())
    faults = [verdict.because for verdict in study.verdicts if verdict.kind == "unreadable"]
    return (
        f"The study holds no {CT_PERFUSION} series among its {len(study.series)} ({held}): see ctpdeploy inspect for "
        f"the reasons. {' '.join(faults[:1])}".rstrip()
    )
