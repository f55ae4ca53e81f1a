"""What networks have to beat: simple methods on the same training patients, judged on the same unseen ones.

* the rule Tmax > 6 s and rCBF < 30 %, as published,
* the same rule with the two thresholds that give the training patients the highest mean Dice,
* boosted trees (scikit-learn) voxel by voxel on the maps; on all that the networks are given, maps, MIP and frames; and
  on these and what surrounds them, each smoothed by two widths,
* trees on the real DWI and its surroundings, which no method on CT can see: an oracle,
* with ``--nnunet EPOCHS``, nnU-Net in 2D on the networks' inputs (:mod:`nnunet_training`; needs the extra bench).

Trees learn from voxels inside the brain, drawn evenly from the patients that ``ctpdeploy train`` would train on; those
that it would validate on choose the probability above which they draw lesion. Every method is scored in the voxels of
the case as ``ctpdeploy evaluate`` scores networks. Beside its Dice stands that above the best probability for each
patient, as if somebody told it: the gap is lost to calibration, not to order. Prints a table; the last line, and the
file of ``--json``, is JSON.

    ctpdeploy phantom train --cases 40 --seed 1 --size 128
    python claims/baselines.py train test --json baselines.json
"""

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
import sklearn
from numpy.typing import NDArray
from rounded import rounded
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime import Case, CaseRef, find_cases
from ctpdeploy.runtime.cohort.case_score import SMALL_BELOW_ML, brain_of, score_mask
from ctpdeploy.runtime.data.case import BoolArray, FloatArray
from ctpdeploy.runtime.metrics.detection import detection, find_pieces
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.metrics.ranking import LARGER_IS_BETTER, mean_ranks
from ctpdeploy.runtime.metrics.reliability import Reliability
from ctpdeploy.runtime.metrics.volume_bias import volume_bias
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess
from ctpdeploy.train import PRESETS
from ctpdeploy.train.calibration import THRESHOLDS
from ctpdeploy.train.split import split_cases

TMAX_S: Final = tuple(float(second) for second in range(2, 17))
RCBF: Final = tuple(percent / 100 for percent in range(10, 105, 5))
SURROUNDINGS_MM: Final = (2.0, 6.0)
"""Standard deviations of the smoothing, within the slice."""

VOXELS: Final = 300_000
"""That trees learn from, at most."""

MAPS: Final = 4
RECIPE: Final = PRESETS["tiny"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """What a method may see of a patient, and what it is judged by.

    Attributes:
        case: without its series.
        brain: bool ``(D, H, W)``.
        inputs: those of the networks in the case's own voxels, ``(D, H, W, 11)``: maps, MIP and frames.
        dwi: above the brain's median in units of its median deviation, ``(D, H, W, 1)``.
    """

    case: Case
    brain: BoolArray
    inputs: NDArray[np.float32]
    dwi: NDArray[np.float32]

    @property
    def lesion(self) -> BoolArray:
        """Truth ``(D, H, W)``."""
        assert self.case.lesion is not None
        return self.case.lesion


Features = Callable[[Patient], NDArray[np.float32]]
"""What a classifier sees of each voxel, ``(D, H, W, F)``."""

Prediction = tuple[BoolArray, FloatArray | None]
"""Mask and probability, if there is one, ``(D, H, W)``."""

Method = Callable[[Patient], Prediction]


def read(ref: CaseRef) -> Patient:
    """Read a patient and let go of the series."""
    case = ref.read()
    grid = replace(RECIPE.preprocess, slice_shape=case.series.shape[2:], pixel_mm=PreprocessConfig().pixel_mm)
    batch, _ = preprocess(case, grid)
    assert case.dwi is not None
    brain = brain_of(case)
    dwi = case.dwi - np.median(case.dwi[brain])
    inputs = np.concatenate([batch.features, batch.frames], axis=1)
    return Patient(
        case=replace(case, series=case.series[:1]),
        brain=brain,
        inputs=np.moveaxis(inputs, 1, -1),
        dwi=(dwi / np.median(np.abs(dwi[brain])))[..., None].astype(np.float32),
    )


def maps(patient: Patient) -> NDArray[np.float32]:
    """The four perfusion maps."""
    return patient.inputs[..., :MAPS]


def inputs(patient: Patient) -> NDArray[np.float32]:
    """All that the networks are given."""
    return patient.inputs


def inputs_and_surroundings(patient: Patient) -> NDArray[np.float32]:
    """The same, and the same smoothed."""
    return with_surroundings(patient.inputs, patient)


def real_dwi(patient: Patient) -> NDArray[np.float32]:
    """The DWI on which the lesion was drawn, and the same smoothed."""
    return with_surroundings(patient.dwi, patient)


def with_surroundings(volume: NDArray[np.float32], patient: Patient) -> NDArray[np.float32]:
    """Channels ``(D, H, W, C)``, and behind them the same smoothed by each width."""
    _, dy, dx = patient.case.geometry.spacing
    widths = [(0.0, width / dy, width / dx, 0.0) for width in SURROUNDINGS_MM]
    return np.concatenate([volume, *(ndimage.gaussian_filter(volume, width) for width in widths)], axis=-1)


def channels(patient: Patient) -> NDArray[np.float32]:
    """The same as nnU-Net takes them, ``(11, D, H, W)``."""
    return np.ascontiguousarray(np.moveaxis(patient.inputs, -1, 0))


def rule(tmax_above_s: float, rcbf_below: float) -> Method:
    """The threshold rule."""
    return lambda patient: (threshold_rule(patient.case, tmax_above_s, rcbf_below), None)


def tuned_rule(patients: Sequence[Patient]) -> tuple[float, float]:
    """Thresholds of the rule with the highest mean Dice."""
    pairs = [(tmax, rcbf) for tmax in TMAX_S for rcbf in RCBF]
    return max(pairs, key=lambda pair: float(np.mean([dice(rule(*pair)(p)[0], p) for p in patients])))


def trees(features: Features, patients: Sequence[Patient], validation: Sequence[Patient], seed: int) -> Method:
    """Boosted trees, and the probability above which the validation patients have the highest mean Dice."""
    rng = np.random.default_rng(seed)
    total = sum(int(np.count_nonzero(patient.brain)) for patient in patients)
    seen, truth = [], []
    for patient in patients:
        drawn = patient.brain & (rng.random(patient.brain.shape) < VOXELS / total)
        seen.append(features(patient)[drawn])
        truth.append(patient.lesion[drawn])
    model = HistGradientBoostingClassifier(max_iter=300, learning_rate=0.1, early_stopping=True, random_state=seed)
    model.fit(np.concatenate(seen), np.concatenate(truth))

    def probability(patient: Patient) -> FloatArray:
        found = np.zeros(patient.brain.shape, dtype=np.float32)
        found[patient.brain] = model.predict_proba(features(patient)[patient.brain])[:, 1]
        return found

    known = [(probability(patient), patient) for patient in validation]
    above = max(THRESHOLDS, key=lambda t: float(np.mean([dice(found > t, patient) for found, patient in known])))
    print(f"  {features.__name__}: {model.n_iter_} trees, lesion above {above}", flush=True)

    def predict(patient: Patient) -> Prediction:
        found = probability(patient)
        return found > above, found

    return predict


def dice(mask: BoolArray, patient: Patient) -> float:
    """Dice of a mask."""
    return agreement(mask, patient.lesion, 1.0).dice


def scores(method: Method, patients: Sequence[Patient]) -> dict[str, Any]:
    """All scores of a method: of each patient, by name; and pooled ones."""
    rows, pieces, counted, best = [], [], [], []
    for patient in patients:
        mask, probability = method(patient)
        judged = patient.brain | patient.lesion
        rows.append(score_mask(mask, patient.case, probability, judged))
        pieces.append(find_pieces(mask, patient.lesion, patient.case.geometry.voxel_ml))
        if probability is not None:
            counted.append(Reliability.of(probability, patient.lesion, judged))
            best.append(max(dice(probability > threshold, patient) for threshold in THRESHOLDS))
    together = reduce(Reliability.__add__, counted, Reliability.nothing())
    return {
        "cases": {name: [row[name] for row in rows] for name in rows[0]},
        "volumes": vars(volume_bias([row["dv_ml"] for row in rows])),
        "detection": detection(pieces),
        "dice_at_its_best": float(np.mean(best)) if best else math.nan,
        "average_precision_of_all_voxels": together.average_precision(),
        "expected_calibration_error": together.expected_calibration_error(),
    }


def figures(found: Mapping[str, Any], volumes_ml: NDArray[np.float64]) -> dict[str, float]:
    """The figures of the table."""
    of = {name: np.array(values) for name, values in found["cases"].items()}
    small = volumes_ml < SMALL_BELOW_ML
    return {
        "dice": float(of["dice"].mean()),
        "dice_std": float(of["dice"].std()),
        "dice_at_its_best": found["dice_at_its_best"],
        "ap": float(np.nanmean(of["ap"])) if "ap" in of else math.nan,
        "ap_of_all_voxels": found["average_precision_of_all_voxels"],
        "abs_dv_ml": float(of["abs_dv_ml"].mean()),
        "bias_ml": found["volumes"]["bias_ml"],
        "median_rve": float(np.nanmedian(of["rve"])),
        "dice_small": float(of["dice"][small].mean()) if small.any() else math.nan,
        "sensitivity": found["detection"]["sensitivity"],
        "false_per_case": found["detection"]["false_per_case"],
        "ece": found["expected_calibration_error"],
    }


def methods(known: Sequence[Patient], names: Sequence[str], seed: int) -> Iterator[tuple[str, Method, float]]:
    """Each method, trained, with the seconds that took."""
    split = split_cases(names, None, share=RECIPE.validation_share, seed=RECIPE.split_seed)
    of = dict(zip(names, known, strict=True))
    train, validation = ([of[name] for name in part] for part in (split.train, split.validation))
    yield "rule, as published", lambda patient: (threshold_rule(patient.case), None), 0.0
    start = time.perf_counter()
    tmax, rcbf = tuned_rule(known)
    yield f"rule, tuned: Tmax > {tmax:g} s, rCBF < {100 * rcbf:g} %", rule(tmax, rcbf), time.perf_counter() - start
    for name, features in {
        "trees on maps": maps,
        "trees on maps, MIP, frames": inputs,
        "trees on these and surroundings": inputs_and_surroundings,
        "oracle: trees on the real DWI": real_dwi,
    }.items():
        start = time.perf_counter()
        yield name, trees(features, train, validation, seed), time.perf_counter() - start


COLUMNS: Final = {
    "Dice": ("dice", ".3f"),
    "at best": ("dice_at_its_best", ".3f"),
    "AP": ("ap", ".3f"),
    "AP, all": ("ap_of_all_voxels", ".3f"),
    "|dV| ml": ("abs_dv_ml", ".1f"),
    "bias ml": ("bias_ml", "+.1f"),
    "med. RVE": ("median_rve", ".2f"),
    "< 10 ml": ("dice_small", ".3f"),
    "found": ("sensitivity", ".2f"),
    "false": ("false_per_case", ".1f"),
    "rank": ("mean_rank", ".2f"),
}
"""Of the table: figure and format."""


def show(result: Mapping[str, Any]) -> None:
    """The table."""
    print(f"{result['train']} patients to train on, {result['test']} unseen, {result['small']} under 10 ml")
    print(f"{'':<40}", *(f"{column:>8}" for column in COLUMNS))
    for name, of in result["methods"].items():
        cells = (f"{of[figure]:{form}}".replace("nan", "-") for figure, form in COLUMNS.values())
        print(f"{name:<40}", *(f"{cell:>8}" for cell in cells))
    print("AP: mean over patients; all: of all their voxels. < 10 ml: Dice. found: share of pieces; false: a patient.")
    print(INTENDED_USE)


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="folder of cases with OT and MR_DWI")
    parser.add_argument("test", type=Path, help="folder of unseen ones")
    parser.add_argument("--cases", type=int, help="train on as many, the first ones; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nnunet", type=int, metavar="EPOCHS", help="also train nnU-Net")
    parser.add_argument("--nnunet-steps", type=int, default=250, help="mini-batches of each; 250 as nnU-Net has it")
    parser.add_argument("--json", type=Path, help="file for the result")
    options = parser.parse_args()
    refs = find_cases(options.train)[: options.cases]
    known, unseen = ([read(ref) for ref in part] for part in (refs, find_cases(options.test)))
    names = [ref.name for ref in refs]
    volumes_ml = np.array([patient.case.geometry.volume_ml(patient.lesion) for patient in unseen])
    found, seconds = {}, {}
    for name, method, seconds[name] in methods(known, names, options.seed):
        found[name] = scores(method, unseen)
    if options.nnunet:
        from nnunet_training import train_nnunet

        name, start = f"nnU-Net 2D, {options.nnunet} epochs of {options.nnunet_steps}", time.perf_counter()
        material = [(channels(patient), patient.lesion, patient.case.geometry.spacing) for patient in known]
        settings = {"epochs": options.nnunet, "steps": options.nnunet_steps, "seed": options.seed}
        with train_nnunet(material, **settings) as predict:
            seconds[name] = time.perf_counter() - start
            found[name] = scores(lambda one: predict(channels(one), one.case.geometry.spacing), unseen)
    ranks = mean_ranks(
        {name: {score: np.array(of["cases"][score]) for score in LARGER_IS_BETTER} for name, of in found.items()}
    )
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "intended_use": INTENDED_USE,
        "train": len(known),
        "test": len(unseen),
        "small": int(np.count_nonzero(volumes_ml < SMALL_BELOW_ML)),
        "seed": options.seed,
        "methods": {
            name: figures(of, volumes_ml) | {"mean_rank": ranks[name], "seconds": round(seconds[name], 1)}
            for name, of in found.items()
        },
        "true_volume_ml": volumes_ml.round(3).tolist(),
        "dice_of_cases": {name: np.round(of["cases"]["dice"], 4).tolist() for name, of in found.items()},
    }
    show(result)
    if options.json:
        options.json.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rounded(result)))


if __name__ == "__main__":
    main()
