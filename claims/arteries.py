"""The arterial input that is found in slabs of all heights: how late it is, beside the phantom's true one.

Its delay is the shift of the true input that fits it best, by the largest normalised correlation: Tmax is shorter by as
much. The frame of the maximum, given too, errs more: it is read from few and noisy frames.

Patients are scanned without maps, so that none is drawn again because no artery was found: refusals are counted. Every
patient is a line of JSON on stderr as soon as it is measured.

    python claims/arteries.py --patients 50 --size 128 256 --seed 1 2> patients.jsonl
    python claims/arteries.py --slices 2 4 --radius 0.3
    python claims/arteries.py --slices 2 4 --without-arteries

Another version of the package is measured by the same script with its checkout first in ``PYTHONPATH``.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient, vessels
from ctpdeploy.phantom import patient as phantom_patient
from ctpdeploy.phantom.variants import VARIANTS, vary
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax
from ctpdeploy.runtime.perfusion.maps import perfusion_maps

__all__ = ["Found", "Kind", "delay_s", "measure", "scan", "summary"]

SMALL: Final = ("M2 superior", "M2 inferior", "A2", "P2")
NEAR_S, LATE_S = 1.0, 4.0
SHIFTS_S: Final = np.arange(-8.0, 12.05, 0.1)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Of which kind the patients are.

    Attributes:
        variant: of the phantom.
        radius: of M2, A2 and P2 in mm; the phantom's own if None.
        arteries: whether there are any.
    """

    variant: str | None = None
    radius: float | None = None
    arteries: bool = True


@dataclass(frozen=True, kw_only=True)
class Found:
    """The arterial input of a patient; None in all figures where the series was refused.

    Attributes:
        size: rows and columns.
        slices: of the slab.
        number: of the patient.
        delay_s: against the true input.
        frame_s: from the frame of the true input's maximum to that of its own.
        peak_hu: its maximum.
        tmax_s: median Tmax of the hemisphere with less delay.
        findings: codes.
    """

    size: int
    slices: int
    number: int
    delay_s: float | None = None
    frame_s: float | None = None
    peak_hu: float | None = None
    tmax_s: float | None = None
    findings: tuple[str, ...] = ()


def scan(seed: Sequence[int], *, slices: int, size: int, kind: Kind) -> Patient:
    """A patient without maps."""
    small = {"radius": kind.radius} if kind.radius is not None else {}
    drawn = [replace(v, **small) if v.name in SMALL else v for v in vessels.VESSELS if v.vein or kind.arteries]
    config = PhantomConfig(size=size, slices=slices)
    with (
        patch.object(vessels, "VESSELS", tuple(drawn)),
        patch.object(vessels, "PIAL_FRACTION", vessels.PIAL_FRACTION if kind.arteries else 0.0),
        patch.object(phantom_patient, "workstation_maps", lambda *_: ({}, SimpleNamespace(aif=np.zeros(0)))),
    ):
        return make_patient(np.random.SeedSequence(seed), vary(config, kind.variant) if kind.variant else config)


def measure(task: tuple[int, int, int], *, seed: int, kind: Kind) -> Found:
    """The arterial input of a patient: a matrix, the slices of the slab and the patient's number."""
    size, slices, number = task
    patient = scan((seed, slices, number), slices=slices, size=size, kind=kind)
    where = {"size": size, "slices": slices, "number": number}
    try:
        result = perfusion_maps(patient.series, patient.times, patient.spacing)
    except InputError:
        return Found(**where)
    aif, dt = result.vessels.aif, float(patient.times[1] - patient.times[0])
    return Found(
        **where,
        delay_s=delay_s(aif, patient.aif, dt),
        frame_s=float(int(aif.argmax()) - int(patient.aif.argmax())) * dt,
        peak_hu=float(aif.max()),
        tmax_s=healthy_tmax(result.maps["tmax"], result.maps["cbf"] > 0),
        findings=tuple(finding.code for finding in result.findings),
    )


def delay_s(found: NDArray[Any], true: NDArray[Any], dt: float) -> float:
    """The shift in s of the true input ``(T,)`` that correlates best with the one found ``(T,)``."""
    times = dt * np.arange(len(true))
    moved = np.stack([np.interp(times - shift, times, true, left=0.0) for shift in SHIFTS_S])
    return round(float(SHIFTS_S[np.argmax(moved @ found / np.linalg.norm(moved, axis=1))]), 1)


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """Counts over patients, the largest delay either way, the least Tmax and the quartiles of the input's height."""
    delays, frames, heights, tmax = (
        [value for one in found if (value := getattr(one, name)) is not None]
        for name in ("delay_s", "frame_s", "peak_hu", "tmax_s")
    )
    return {
        "patients": len(found),
        "within_1_s": sum(abs(delay) <= NEAR_S for delay in delays),
        "frame_within_1_s": sum(abs(error) <= NEAR_S for error in frames),
        "late_4_s": sum(max(both) >= LATE_S for both in zip(delays, frames, strict=True)),
        "refused": len(found) - len(delays),
        "worst_s": max(delays, key=abs, default=None),
        "least_tmax_s": round(min(tmax), 1) if tmax else None,
        "peak_hu": [round(float(hu)) for hu in np.percentile(heights, (25, 50, 75))] if heights else None,
        "findings": dict(sorted(Counter(code for one in found for code in one.findings).items())),
    }


def _rows(results: dict[tuple[int, int], dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Lines of the table."""
    columns = ("patients", "within_1_s", "frame_within_1_s", "late_4_s", "refused", "worst_s", "least_tmax_s")
    for (size, slices), counts in results.items():
        yield (
            str(size),
            str(slices),
            *(f"{counts[name]}" for name in columns),
            "/".join(map(str, counts["peak_hu"] or "-")),
        )


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=40, help="of each height")
    parser.add_argument("--slices", type=int, nargs="+", default=[2, 4, 8, 16, 22], help="heights of slabs")
    parser.add_argument("--size", type=int, nargs="+", default=[128], help="rows and columns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--variant", choices=sorted(VARIANTS), help="of the phantom")
    parser.add_argument("--radius", type=float, help="of M2, A2 and P2 in mm, if not the phantom's own")
    parser.add_argument("--without-arteries", action="store_true", help="veins and tissue alone")
    options = parser.parse_args()
    kind = Kind(variant=options.variant, radius=options.radius, arteries=not options.without_arteries)
    kinds = [(size, slices) for size in options.size for slices in options.slices]
    tasks = [(*slab, number) for number in range(options.patients) for slab in kinds]
    found = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for one in pool.map(partial(measure, seed=options.seed, kind=kind), tasks):
            found.append(one)
            print(json.dumps(asdict(one)), file=sys.stderr, flush=True)
    results = {slab: summary([one for one in found if (one.size, one.slices) == slab]) for slab in kinds}
    header = ("matrix", "slices", "patients", "delay <= 1 s", "by frame", ">= 4 s late", "refused", "worst, s")
    print_table((*header, "least Tmax, s", "AIF, HU"), _rows(results))
    summaries = [{"size": size, "slices": slices, **counts} for (size, slices), counts in results.items()]
    print(json.dumps({"seed": options.seed, **asdict(kind), "slabs": summaries}))


if __name__ == "__main__":
    main()
