"""Ways to compute maps, on the same synthetic patients: late tissue, the threshold rule, and seconds.

Late tissue, Tmax > 6 s, is held against two truths: tissue whose blood arrives more than 6 s late, and Tmax > 6 s of
the maps that truncated SVD makes of curves without noise and with the artery known, which is what reference software
means by 6 s. Only voxels of at least half grey or white matter count. Patients whom one way refuses count in none.

    python claims/deconvolution.py --patients 20
"""

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.ideal_maps import LEAST_TISSUE, ideal_maps
from ctpdeploy.runtime import PerfusionConfig, case_from_arrays, threshold_rule
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.perfusion.threshold_rule import TMAX_ABOVE_S

__all__ = ["WAYS", "measure", "summary"]

WAYS: Final = {
    "TSVD, maximum": PerfusionConfig(),
    "TSVD, onset": PerfusionConfig(tmax="onset"),
    "Tikhonov, maximum": PerfusionConfig(method="tikhonov"),
    "oSVD, maximum": PerfusionConfig(method="osvd"),
    "oSVD, onset": PerfusionConfig(method="osvd", tmax="onset"),
}
HEIGHTS: Final = (2, 4, 8, 16)
SIZE: Final = 128

COLUMNS: Final = ("delay_ml", "ideal_ml", "ideal_dice", "rule_dice", "seconds")
"""Late tissue less that of either truth; its Dice with the second; Dice of the rule with the lesion; series to maps."""

Figures = dict[str, float]


def measure(patient: Patient) -> dict[str, Figures]:
    """The figures of ``COLUMNS`` for each of ``WAYS``, volumes measured less true; InputError if one gives no maps."""
    shown = patient.truth["tissue"] > LEAST_TISSUE
    delay = np.divide(patient.truth["delay"], patient.truth["tissue"], out=np.zeros(shown.shape), where=shown)
    delayed, ideal = delay > TMAX_ABOVE_S, ideal_maps(patient)["tmax"] > TMAX_ABOVE_S
    found = {}
    for way, config in WAYS.items():
        start = time.perf_counter()
        case = case_from_arrays(patient.series, patient.times, spacing=patient.spacing, perfusion=config)
        seconds = time.perf_counter() - start
        late, voxel = shown & (case.maps["tmax"] > TMAX_ABOVE_S), case.geometry.voxel_ml
        found[way] = {
            "delay_ml": float(int(late.sum()) - int(delayed.sum())) * voxel,
            "ideal_ml": float(int(late.sum()) - int(ideal.sum())) * voxel,
            "ideal_dice": agreement(late, ideal, voxel).dice,
            "rule_dice": agreement(threshold_rule(case), patient.lesion, voxel).dice,
            "seconds": seconds,
        }
    return found


def summary(found: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """Means over patients, and of errors of volumes the median of their moduli too, as ``NAME_off``."""
    figures = {way: {name: np.array([one[way][name] for one in found]) for name in COLUMNS} for way in WAYS}
    return {
        way: {name: float(values.mean()) for name, values in of_way.items()}
        | {f"{name}_off": float(np.median(np.abs(of_way[name]))) for name in COLUMNS if name.endswith("_ml")}
        for way, of_way in figures.items()
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20, help="a quarter each of 2, 4, 8 and 16 slices")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    for number in range(options.patients):
        config = PhantomConfig(size=SIZE, slices=HEIGHTS[number % len(HEIGHTS)])
        with suppress(InputError):
            found.append(measure(make_patient(np.random.SeedSequence((options.seed, number)), config)))
    results, refused = summary(found), options.patients - len(found)
    rows = [(way, *(f"{figure:.2f}" for figure in figures.values())) for way, figures in results.items()]
    print_table(("way", *next(iter(results.values()))), rows)
    print(json.dumps({**vars(options), "refused": refused, "ways": results}))


if __name__ == "__main__":
    main()
