"""How fast a DICOM study is read: beside pydicom's own loop and dcm2niix on the same files, in turns.

From a folder of files in any order to HU in one array, phases by time and slices by place: ctpdeploy; pydicom's
``dcmread``, ``pixel_array`` and ``apply_rescale``, then sorted; dcm2niix, which writes a file of them. Each turn is a
process of its own (``dicom_readers.py``), its packages imported before the clock starts, its files in the page cache.
Quoted are processor seconds, which other work disturbs less than the clock, and the medians over rounds of their ratios
within a round; all give the same HU, or nothing is timed. The ceiling is the same files read into one buffer, nothing
understood.

Writing a result's DICOM objects takes turns of its own, of a synthetic patient of 16 slices.

    python claims/dicom_speed.py --out claims/results/dicom-MACHINE.json
    python claims/dicom_speed.py --rounds 3 --studies 12x4x64      # a rehearsal
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import dicom_readers
import numpy as np
from dicom_readers import BYTES, DCM2NIIX, OURS, PYDICOM, RESULTS, Turn, dcm2niix
from rounded import rounded

from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.errors import GuardError
from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.phantom.dicom.study_case import write_study_case
from ctpdeploy.runtime.backends.packages import versions_of

__all__ = ["measure", "write_series"]

SCHEMA: Final = 1
"""Of what is written."""
STUDIES: Final = ("100x40x256", "89x8x512")
"""Phases, slices, and rows and columns: 4 000 and 712 images."""
SEED: Final = 7
UNITS: Final = ("core_s", "wall_s")


def write_series(folder: Path, phases: int, slices: int, size: int) -> None:
    """A study of one series, a file an image, called by their UIDs and numbered at random; noise of 12 bits."""
    hu = np.random.default_rng(SEED).integers(-1024, 3071, (phases, slices, size, size), dtype=np.int16)
    affine = np.diag([-220 / size, -220 / size, 4.0, 1.0])
    write_study(folder, hu, np.arange(phases) * 0.5, affine, "one-series", junk=False)


def turn(reader: str, folder: Path) -> Turn:
    """One turn, in a process of its own.

    Raises:
        GuardError: the reader failed.
    """
    command = [sys.executable, dicom_readers.__file__, reader, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise GuardError(f"{reader} failed on {folder}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, size: int, *, rounds: int) -> dict[str, Any]:
    """Turns over the files of a study of so many bytes of HU.

    Raises:
        GuardError: one failed, or they read other HU.
    """
    names = [name for name in (OURS, PYDICOM, DCM2NIIX, BYTES) if name != DCM2NIIX or dcm2niix()]
    first = {name: turn(name, folder)["sum_hu"] for name in names if name != BYTES}  # and the page cache is warm
    if len(set(first.values())) > 1:
        raise GuardError(f"The readers give other HU, by their sums {first}: nothing is timed.")
    load = OtherLoad()
    taken = interleave({name: partial(turn, name, folder) for name in names}, rounds=rounds, seed=0)
    found: dict[str, Any] = {name: _figures(taken[name], size) for name in names}
    for name in names:
        if name != OURS:
            for unit in UNITS:
                ratio = Quantiles.of_ratio([one[unit] for one in taken[name]], [one[unit] for one in taken[OURS]])
                found[name][f"times_{OURS}_{unit}"] = asdict(ratio)
    missing = {} if DCM2NIIX in names else {DCM2NIIX: "is not installed: pip install dcm2niix"}
    return {"bytes": size, "not_timed": missing, "other_cores": load.cores(), "readers": found}


def _figures(turns: list[Turn], size: int) -> dict[str, Any]:
    return {**_seconds(turns), "peak_of_series": max(one["peak_bytes"] for one in turns) / size}


def _seconds(turns: list[Turn]) -> dict[str, Any]:
    return {unit: asdict(Quantiles.of([one[unit] for one in turns])) for unit in UNITS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", default=STUDIES, help="phases x slices x rows")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    studies = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.studies:
            phases, slices, size = map(int, name.split("x"))
            folder = Path(scratch) / name
            write_series(folder, phases, slices, size)
            studies[name] = measure(folder, phases * slices * size**2 * 2, rounds=options.rounds)
        case = write_study_case(Path(scratch), SEED, PhantomConfig(size=256, slices=16, frames=24), "one-series", 1)
        written = [turn(RESULTS, case / "study") for _ in range(options.rounds)]
    machine = describe_machine()
    versions = machine["versions"] | versions_of("pydicom", "highdicom", "dcm2niix")
    result = {
        "schema": SCHEMA,
        "machine": machine | {"versions": versions},
        "rounds": options.rounds,
        "studies": studies,
        "results_of_16_slices": _seconds(written),
    }
    text = json.dumps(rounded(result), indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
