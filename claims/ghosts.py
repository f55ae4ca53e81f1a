"""Ghosts: what the maps of healthy patients show of Tmax > 6 s, and of rCBF < 30 % within it. Nothing is right.

Each patient is scanned at each noise, everything else the same; maps are computed from the series as for a case that
has none. Patients in whom no artery is found are counted as refused.

    python claims/ghosts.py --patients 20 --seed 5 --jobs 2
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
from phantom_card import rule

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.runtime.perfusion.maps import perfusion_maps

__all__ = ["Ghosts", "measure", "summary"]

LIMIT_PERCENT = 2.0
NOISES = (0.0, 2.5, 5.0, 8.0)
SLICES = (2, 4, 8, 16, 22)


@dataclass(frozen=True, kw_only=True)
class Ghosts:
    """What one scan of a healthy patient shows; NaN where its maps were refused.

    Attributes:
        slices: of the slab.
        noise: of a frame in HU, at pixels of 1 mm.
        late_percent: of the brain with Tmax > 6 s.
        core_ml: of that with rCBF < 30 %.
        tmax: median in s.
    """

    slices: int
    noise: float
    late_percent: float = np.nan
    core_ml: float = np.nan
    tmax: float = np.nan


def measure(task: tuple[int, float, int], *, seed: int, size: int) -> Ghosts:
    """One scan.

    Args:
        task: slices of the slab, noise in HU, number of the patient.
        seed: of all patients.
        size: rows and columns.
    """
    slices, noise, number = task
    config = PhantomConfig(size=size, slices=slices, noise_sigma=noise, healthy=True)
    try:
        patient = make_patient(np.random.SeedSequence((seed, slices, number)), config)
        found = perfusion_maps(patient.series, patient.times, patient.spacing)
    except InputError:
        return Ghosts(slices=slices, noise=noise)
    late, core = rule(found.maps)
    return Ghosts(
        slices=slices,
        noise=noise,
        late_percent=100.0 * np.count_nonzero(late) / np.count_nonzero(found.brain),
        core_ml=float(np.count_nonzero(core) * np.prod(patient.spacing) / 1000.0),
        tmax=float(np.median(found.maps["tmax"][found.maps["cbf"] > 0])),
    )


def summary(scans: Iterable[Ghosts]) -> dict[str, Any]:
    """Median and largest over scans."""
    scans = list(scans)
    values = np.array([(one.late_percent, one.core_ml, one.tmax) for one in scans])
    shown = values[np.isfinite(values).all(axis=1)]
    medians, largest = (np.round(of(shown, axis=0), 2).tolist() for of in (np.median, np.max))
    return {
        "patients": len(scans),
        "refused": len(scans) - len(shown),
        "over_limit": int(np.count_nonzero(shown[:, 0] > LIMIT_PERCENT)),
        **{
            name: {"median": middle, "largest": most}
            for name, middle, most in zip(("late_percent", "core_ml", "tmax_s"), medians, largest, strict=True)
        },
    }


def _rows(results: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    of = ("late_percent", "core_ml", "tmax_s")
    return [
        tuple(f"{row[key]}" for key in ("slices", "noise_hu", "patients", "refused", "over_limit"))
        + tuple(f"{row[name]['median']:.2f} / {row[name]['largest']:.2f}" for name in of)
        for row in results
    ]


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20, help="of each height")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--size", type=int, default=128, help="rows and columns")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    tasks = list(product(SLICES, NOISES, range(options.patients)))
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        scans = list(pool.map(partial(measure, seed=options.seed, size=options.size), tasks, chunksize=4))
    results = [
        {
            "slices": slices or "all",
            "noise_hu": noise,
            **summary(one for one in scans if one.noise == noise and slices in (None, one.slices)),
        }
        for slices, noise in product((None, *SLICES), NOISES)
    ]
    header = ("slices", "noise", "patients", "refused", "over 2 %", "Tmax > 6 s, %", "core, ml", "Tmax, s")
    print_table(header, _rows(results))
    print(json.dumps({"seed": options.seed, "size": options.size, "results": results}))


if __name__ == "__main__":
    main()
