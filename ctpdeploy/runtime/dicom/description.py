"""Description: what a study holds, as JSON values for programs and tables."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.choice import Scan, choose_scans
from ctpdeploy.runtime.dicom.kinds import CT_PERFUSION, Verdict
from ctpdeploy.runtime.dicom.map_choice import Candidate, MapChoice, choose_maps
from ctpdeploy.runtime.dicom.perfusion_maps import find_maps
from ctpdeploy.runtime.dicom.series import Series
from ctpdeploy.runtime.dicom.stack import Stack
from ctpdeploy.runtime.dicom.study import Study

__all__ = ["describe_study"]


def describe_study(study: Study, named: str = "") -> dict[str, Any]:
    """What a study holds, which of its series is taken for CT perfusion, and why not the others.

    Args:
        study: with its series judged.
        named: UID or number of the series to take whatever its kind.

    Returns:
        Lengths in mm, times in s, angles in degrees; ``fault`` says why no scan can be read, or is None; ``maps`` of a
        series what it maps, and of which scans it would be taken or why not.

    Raises:
        MissingPackageError: pydicom is not installed, and the study has perfusion maps.
    """
    scans: list[Scan] = []
    fault = None
    try:
        scans = choose_scans(study, named)
    except InputError as error:
        fault = str(error)
    choices = choose_maps(study, scans)
    maps = _maps(study, scans, choices)
    pairs = zip(study.series, study.verdicts, strict=True)
    return {
        "study_uid": study.uid,
        "series": [_series(series, verdict, scans, maps.get(series.uids, [])) for series, verdict in pairs],
        "scans": [_scan(scan, choice) for scan, choice in zip(scans, choices, strict=True)],
        "fault": fault,
        "unreadable": list(study.unreadable),
    }


def _maps(
    study: Study, scans: Sequence[Scan], choices: Sequence[MapChoice]
) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The maps of each series, by its UIDs."""
    candidates = zip(*(choice.candidates for choice in choices), strict=True)
    beside = list(candidates) if scans else [(Candidate(map=one, because=one.fault),) for one in find_maps(study)]
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for of_scans in beside:
        one = of_scans[0].map
        taken = [
            scan.series.number
            for scan, choice, candidate in zip(scans, choices, of_scans, strict=False)
            if candidate in choice.taken.values()
        ]
        found.setdefault(one.series.uids, []).append(
            {
                "quantity": one.name or None,
                "title": one.title,
                "unit": one.unit or None,
                "known_by": one.known_by or None,
                "taken_for": taken,
                "because": "; ".join(dict.fromkeys(candidate.because for candidate in of_scans if candidate.because)),
            }
        )
    return found


def _series(series: Series, verdict: Verdict, scans: list[Scan], maps: list[dict[str, Any]]) -> dict[str, Any]:
    taken = any(scan.series is series for scan in scans)
    because = verdict.because
    if verdict.kind == CT_PERFUSION and scans and not taken:
        because = "another series of the same scan is taken"
    return {
        "number": series.number,
        "description": series.description,
        "uids": list(series.uids),
        "modality": series.modality,
        "maker": series.maker,
        "kind": verdict.kind,
        "because": because,
        "taken": taken,
        "files": len(series.files),
        "places": verdict.extent.places,
        "times": verdict.extent.times,
        "thickness": series.planes[0].thickness if series.planes else None,
        "maps": maps,
    }


def _scan(scan: Scan, choice: MapChoice) -> dict[str, Any]:
    stack = scan.stack
    phases, slices, rows, columns = stack.shape
    steps = np.diff(stack.times)
    return {
        "series": scan.series.number,
        "phases": phases,
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "clock": stack.clock.name,
        "clock_unit": stack.clock.unit,
        "interval": round(float(np.median(steps)), 4),
        "shortest_interval": round(float(steps.min()), 4),
        "longest_interval": round(float(steps.max()), 4),
        "duration": round(float(stack.times[-1] - stack.times[0]), 4),
        "slices_at_once": stack.slice_times is None,
        "thickness": stack.thickness,
        "distance": round(stack.distance, 4),
        "pixel": [round(float(size), 4) for size in stack.planes[0][0].spacing],
        "tilt": round(_tilt(stack), 1),
        "findings": [asdict(found) for found in (*scan.findings, *choice.findings)],
    }


def _tilt(stack: Stack) -> float:
    """Angle between the way from slice to slice and the normal of the slices."""
    step = float(np.linalg.norm(stack.affine[:3, 2]))
    return float(np.degrees(np.arccos(np.clip(stack.distance / step, -1, 1))))
