"""Patients of this checkout against those of an older one: other patients of the same seeds, of the same distributions?

The plan of a patient, which is the scan, the stroke and the bolus, is drawn from a seed as it was. So patients come in
pairs of the same plan, which differ in their random fields and noise, and tell far smaller differences than two groups
do; of a pair of which one was drawn more often, plans differ, and it counts in the groups alone. With
``--same-fields`` the older checkout makes its smooth fields by this one's code: then what is left is arithmetic and the
noise of the scanner.

For each figure of the data card: medians, the mean of the new over that of the old in pairs with its standard error,
and p of Kolmogorov and Smirnov's test of groups and of Wilcoxon's of pairs; last, the least p times their number
(Bonferroni). The last line of the output is JSON.

    git worktree add ../before 537169e
    python claims/phantom_draws.py --old ../before --patients 200 --seeds 11 21 22
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

HERE = Path(__file__).parents[1]
FIELDS = HERE / "ctpdeploy" / "phantom" / "fields.py"

FIGURES = (
    *("lesion_ml", "core_ml", "tmax6_ml", "mismatch_ml", "dice_tmax6_lesion", "dice_core_lesion", "tmax4_of_tmax6"),
    *("tmax8_of_tmax6", "tmax10_of_tmax6", "mean_tmax", "mean_mtt", "healthy_tmax", "healthy_mtt", "aif_peak_hu"),
    *("dwi_ratio", "noise_hu", "shown_ml"),
)


def main() -> None:
    """Measure both checkouts and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="root of the older checkout")
    parser.add_argument("--patients", type=int, default=200, help="of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 21, 22])
    parser.add_argument("--same-fields", action="store_true", help="the older checkout draws fields as this one does")
    parser.add_argument("--print-figures", action="store_true", help="of the ctpdeploy that is imported, and no more")
    options = parser.parse_args()
    if options.print_figures:
        print(json.dumps(measure(options.patients, options.seeds, same_fields=options.same_fields)))
        return
    if options.old is None:
        parser.error("--old is missing: name the root of an older checkout.")
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_of_checkout, tree, options) for tree in (options.old.resolve(), HERE)]
        old, new = (job.result() for job in jobs)
    rows = {name: compare(old, new, name) for name in FIGURES}
    print("| | old | new | new / old, in pairs | p, groups | p, pairs |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        ratio = f"{row['ratio']:.3f} ± {row['ratio_error']:.3f}"
        print(f"| {name} | {row['old']:.2f} | {row['new']:.2f} | {ratio} | {row['p']:.2f} | {row['p_pairs']:.2f} |")
    print(json.dumps({"patients": len(new), "pairs": len(pairs(old, new, "lesion_ml")[0]), **family(rows), **rows}))


def measure(patients: int, seeds: list[int], *, same_fields: bool) -> list[dict[str, float]]:
    """Figures of the data card of each patient, and how many draws were thrown away before it."""
    from phantom_card import figures

    from ctpdeploy.phantom import PhantomConfig, make_patient

    if same_fields:
        _take_fields()
    made = []
    for seed in seeds:
        for number in range(patients):
            patient = make_patient(np.random.SeedSequence(seed, spawn_key=(number,)), PhantomConfig(size=128))
            made.append({name: float(value) for name, value in figures(patient).items()} | {"attempt": patient.attempt})
    return made


def compare(old: list[dict[str, float]], new: list[dict[str, float]], name: str) -> dict[str, float]:
    """One figure in both: medians of groups, ratio of means in pairs, and how likely such differences are by chance."""
    groups = [np.array([one[name] for one in ones]) for ones in (old, new)]
    groups = [values[np.isfinite(values)] for values in groups]
    before, after = pairs(old, new, name)
    differences = after - before
    return {
        "old": float(np.median(groups[0])),
        "new": float(np.median(groups[1])),
        "ratio": float(after.mean() / before.mean()),
        "ratio_error": float(differences.std(ddof=1) / np.sqrt(len(differences)) / before.mean()),
        "p": float(stats.ks_2samp(*groups, method="asymp").pvalue),
        "p_pairs": float(stats.wilcoxon(before, after).pvalue) if differences.any() else 1.0,
    }


def pairs(old: list[dict[str, float]], new: list[dict[str, float]], name: str) -> np.ndarray:
    """A figure of patients with the same plan, old and new, ``(2, n)``; without those of whom one has none."""
    both = [(a[name], b[name]) for a, b in zip(old, new, strict=True) if a["attempt"] == b["attempt"]]
    values = np.array(both, dtype=float).reshape(-1, 2).T
    return values[:, np.isfinite(values).all(axis=0)]


def family(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """The least p of each kind of test, times their number, at most 1."""
    return {
        f"least_{kind}_of_all": min(1.0, len(rows) * min(row[kind] for row in rows.values()))
        for kind in ("p", "p_pairs")
    }


def _of_checkout(tree: Path, options: argparse.Namespace) -> Any:  # noqa: ANN401  parsed JSON
    """Figures by another process, which imports ctpdeploy from a checkout."""
    command = [sys.executable, __file__, "--print-figures", "--patients", f"{options.patients}"]
    command += ["--seeds", *map(str, options.seeds)]
    if options.same_fields and tree != HERE:
        command.append("--same-fields")
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _take_fields() -> None:
    """Let every module of the phantom that is imported make smooth noise by the code of this checkout."""
    spec = importlib.util.spec_from_file_location("fields_of_here", FIELDS)
    assert spec is not None
    assert spec.loader is not None
    fields = sys.modules["fields_of_here"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fields)
    for name, module in list(sys.modules.items()):
        if name.startswith("ctpdeploy.phantom") and hasattr(module, "smooth_noise"):
            vars(module)["smooth_noise"] = fields.smooth_noise


if __name__ == "__main__":
    main()
