"""False alarms: what the checks of a case's contents say of right ones, whose scans are as bad as scans can be.

Each patient has a stroke and is scanned as usual (DWI and CT misregistered by up to 2 mm in the plane and 4 across it),
with a head that moves, with noise twice as strong, with half the contrast, and with maps that lie one or two voxels
beside the series. Refusals and serious findings are counted: none is right, but for those that say what was done.

    python claims/false_alarms.py --patients 200 --seed 15 --jobs 2
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.runtime.quality.inspection import inspect

__all__ = ["SCANS", "alarms", "scan"]

SCANS: Final[Mapping[str, Mapping[str, Any]]] = {
    "as usual": {},
    "motion": {"motion": 1.0},
    "noise 10 HU": {"noise_sigma": 10.0},
    "half the contrast": {},
    "maps 1 voxel aside": {},
    "maps 2 voxels aside": {},
}
"""What each changes of the phantom; the last three change what was scanned."""

GIVEN: Final = ("maps given", "maps computed")


def scan(patient: Patient, kind: str) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """The series and the maps of a scan."""
    series, maps = patient.series, dict(patient.maps)
    if kind == "half the contrast":
        baseline = series[:5].mean(axis=0)
        shown = gaussian_filter(series - baseline, (1.0, 0.0, 1.0, 1.0))  # of the noise little is taken away
        series = series - np.float32(0.5) * shown
    if kind.startswith("maps"):
        maps = {name: np.roll(values, int(kind.split()[1]), axis=2) for name, values in maps.items()}
    return series, maps


def alarms(task: tuple[int, str], *, seed: int, size: int) -> dict[str, str]:
    """The gravest thing said of one scan, by how its maps come about; ``"none"`` where nothing serious is said."""
    number, kind = task
    patient = make_patient(np.random.SeedSequence((seed, number)), PhantomConfig(size=size, **SCANS[kind]))
    series, maps = scan(patient, kind)
    found = {}
    for how, given in zip(GIVEN, (maps, None), strict=True):
        try:
            said = inspect(series, patient.times, patient.spacing, given, called="it")
            serious = sorted({one.code for one in said if one.severity == "serious"})
            found[how] = ", ".join(serious) or "none"
        except InputError as error:
            found[how] = f"REFUSED {str(error).partition('(')[2].partition(')')[0]}"
    return found


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--size", type=int, default=128, help="rows and columns")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    tasks = list(product(range(options.patients), SCANS))
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(partial(alarms, seed=options.seed, size=options.size), tasks, chunksize=6))
    counts = {
        f"{kind}, {how}": dict(Counter(one[how] for (_, its), one in zip(tasks, found, strict=True) if its == kind))
        for kind, how in product(SCANS, GIVEN)
    }
    rows = [
        (
            name,
            str(of_one.get("none", 0)),
            str(sum(number for said, number in of_one.items() if said.startswith("REFUSED"))),
            "; ".join(f"{said} {number}" for said, number in sorted(of_one.items()) if said != "none"),
        )
        for name, of_one in counts.items()
    ]
    print_table(("scan", "nothing serious", "refused", "said"), rows)
    print(json.dumps({"patients": options.patients, "seed": options.seed, "size": options.size, "said": counts}))


if __name__ == "__main__":
    main()
