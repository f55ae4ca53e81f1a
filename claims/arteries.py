"""The arterial input of thin slabs: how late it is found where arteries are narrow, beside the phantom's true one.

The phantom's smallest arteries are set to a radius, by default to half a millimetre, which leaves those of two slices
of 10 mm some 50 to 100 HU; a sinus keeps its 300. Patients are scanned without maps, so that none is drawn again
because no artery was found: refusals are counted. ``--beside`` measures another version of the rule on the same
patients.

    python claims/arteries.py --patients 40 --seed 1 --jobs 2
    git show REVISION:ctpdeploy/runtime/perfusion/arteries.py > /tmp/earlier.py
    python claims/arteries.py --beside /tmp/earlier.py
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient, vessels
from ctpdeploy.phantom import patient as phantom_patient
from ctpdeploy.runtime.perfusion import arteries
from ctpdeploy.runtime.perfusion.brain import brain_mask

__all__ = ["Found", "measure", "scan", "summary"]

SMALL: Final = ("M2 superior", "M2 inferior", "A2", "P2")
NEAR_S, LATE_S = 1.0, 4.0
OURS, EARLIER = "this version", "beside it"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The arterial input of a patient by a rule.

    Attributes:
        rule: ``OURS`` or ``EARLIER``.
        slices: of the slab.
        error_s: from the true input's peak to its own; None where the rule refused the series.
        peak_hu: of it; None likewise.
        findings: codes.
    """

    rule: str
    slices: int
    error_s: float | None = None
    peak_hu: float | None = None
    findings: tuple[str, ...] = ()


def scan(seed: Sequence[int], *, slices: int, size: int, radius: float) -> Patient:
    """A patient without maps, whose small arteries have a radius in mm."""
    narrow = [replace(v, radius=radius) if v.name in SMALL else v for v in vessels.VESSELS]
    nothing_found = SimpleNamespace(aif=np.zeros(0))
    with (
        patch.object(vessels, "VESSELS", tuple(narrow)),
        patch.object(phantom_patient, "workstation_maps", lambda *_: ({}, nothing_found)),
    ):
        return make_patient(np.random.SeedSequence(seed), PhantomConfig(size=size, slices=slices))


def measure(task: tuple[int, int], *, seed: int, size: int, radius: float, beside: Path | None) -> list[Found]:
    """The arterial input of a patient by each rule.

    Args:
        task: slices of the slab and number of the patient.
        seed: of the campaign.
        size: rows and columns.
        radius: of the small arteries in mm.
        beside: file of another version of ``runtime/perfusion/arteries.py``.
    """
    slices, number = task
    patient = scan((seed, slices, number), slices=slices, size=size, radius=radius)
    brain = brain_mask(patient.series.mean(axis=0, dtype=np.float32), patient.spacing)
    baseline = arteries.baseline_frames(patient.series[:, brain].mean(axis=1, dtype=np.float64))
    enhancement = patient.series - patient.series[:baseline].mean(axis=0, dtype=np.float32)
    dt = float(patient.times[1] - patient.times[0])
    rules = {OURS: arteries} | ({EARLIER: _module(beside)} if beside else {})
    found = []
    for name, rule in rules.items():
        try:
            vessel = rule.find_vascular_input(enhancement, brain, dt, baseline)
        except InputError:
            found.append(Found(rule=name, slices=slices))
            continue
        error = float(int(vessel.aif.argmax()) - int(patient.aif.argmax())) * dt
        codes = tuple(finding.code for finding in vessel.findings)
        found.append(Found(rule=name, slices=slices, error_s=error, peak_hu=float(vessel.aif.max()), findings=codes))
    return found


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """Counts over patients, and the quartiles of the input's height."""
    errors = [one.error_s for one in found if one.error_s is not None]
    heights = [one.peak_hu for one in found if one.peak_hu is not None]
    return {
        "patients": len(found),
        "within_1_s": sum(abs(error) <= NEAR_S for error in errors),
        "late_4_s": sum(error >= LATE_S for error in errors),
        "refused": len(found) - len(errors),
        "worst_s": max(errors, key=abs, default=None),
        "peak_hu": [round(float(hu)) for hu in np.percentile(heights, (25, 50, 75))] if heights else None,
        "findings": dict(sorted(Counter(code for one in found for code in one.findings).items())),
    }


def _module(path: Path) -> ModuleType:
    """A module from a file."""
    spec = spec_from_file_location("another_version", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file: give a version of ctpdeploy/runtime/perfusion/arteries.py.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def _rows(results: dict[str, dict[int, dict[str, Any]]]) -> Iterator[tuple[str, ...]]:
    """Lines of the table."""
    for rule, heights in results.items():
        for slices, counts in heights.items():
            quartiles = "/".join(map(str, counts["peak_hu"] or ("-",)))
            shares = (f"{counts[key]}" for key in ("patients", "within_1_s", "late_4_s", "refused", "worst_s"))
            yield rule, str(slices), *shares, quartiles


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=40, help="of each height")
    parser.add_argument("--slices", type=int, nargs="+", default=[2, 4, 8, 16, 22], help="heights of slabs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--size", type=int, default=128, help="rows and columns")
    parser.add_argument("--radius", type=float, default=0.5, help="of M2, A2 and P2 in mm")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="another version of arteries.py")
    options = parser.parse_args()
    run = partial(measure, seed=options.seed, size=options.size, radius=options.radius, beside=options.beside)
    tasks = [(slices, number) for number in range(options.patients) for slices in options.slices]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = [one for patient in pool.map(run, tasks) for one in patient]
    results = {
        rule: {n: summary([one for one in found if (one.rule, one.slices) == (rule, n)]) for n in options.slices}
        for rule in dict.fromkeys(one.rule for one in found)
    }
    header = ("rule", "slices", "patients", "within 1 s", ">= 4 s late", "refused", "worst, s", "AIF, HU")
    print_table(header, _rows(results))
    print(json.dumps({"seed": options.seed, "size": options.size, "radius_mm": options.radius, "rules": results}))


if __name__ == "__main__":
    main()
