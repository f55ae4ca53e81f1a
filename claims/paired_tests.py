"""Do the orderings of the source's tables hold in a reproduction? Paired differences of Dice between rows.

For each claim, a pair of rows whose published means differ, the difference of Dice is taken case by case and seed by
seed. Its mean stands with a 95 % bootstrap interval, for which both cases and seeds are drawn, and with the mean of
each seed. The bootstrap's two-sided p is corrected for the number of claims (Holm, 1979): a claim holds if that is
under 0.05 and the mean on the published side of zero, fails if on the other, else it is within noise. Beside it stands
the p of Wilcoxon's signed ranks of the cases, each the mean of its seeds, corrected likewise: it knows nothing of
seeds. A row that nobody published, all inputs straight into SLNet, is compared too. The last line is JSON.

    python claims/paired_tests.py FOLDER [FOLDER ...]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import CONTROLS, TABLES

CLAIMS = (
    (5, "real_dwi", "dwi_olh"),
    (5, "dwi_olh", "Fo"),
    (5, "dwi_olh", "dwi_ol"),
    (5, "dwi_ol", "dwi_o"),
    (5, "dwi_o", "Fo"),
    (4, "wce_hgd", "ce"),
    (3, "slnet", "unet"),
    (5, "dwi_olh", "dwi_olh_s"),
    (5, "dwi_olh", "features_frames"),
    (5, "features_frames", "Fo"),
)
"""Table and two of its rows."""

SAMPLES = 10_000
LEVEL = 0.05


def dice(reproduction: Path, system: str) -> dict[str, NDArray[np.float64]]:
    """Dice of the test cases, in their order, by seed."""
    found = {}
    for file in sorted((reproduction / system).glob("seed-*/evaluation/scores.json")):
        scores = json.loads(file.read_text(encoding="utf-8"))
        found[file.parts[-3]] = np.array([score["networks"]["dice"] for score in scores])
    return found


def compare(reproduction: Path, table: int, one: str, other: str) -> dict[str, Any] | None:
    """One claim, before it is judged; None if a row was not trained."""
    a, b = (dice(reproduction, (TABLES[table] | CONTROLS)[row]) for row in (one, other))
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    differences = 100 * np.array([a[seed] - b[seed] for seed in seeds])
    random, (runs, cases) = np.random.default_rng(0), differences.shape
    drawn = differences[
        random.integers(runs, size=(SAMPLES, runs, 1)), random.integers(cases, size=(SAMPLES, 1, cases))
    ]
    means_drawn = drawn.mean(axis=(1, 2))
    low, high = np.percentile(means_drawn, [2.5, 97.5])
    printed = published_table(table).rows
    means = [cell.mean for row in (one, other) if row in printed and (cell := printed[row].cells["dice_pct"])]
    beyond = min(np.mean(means_drawn <= 0), np.mean(means_drawn >= 0))
    return {
        "table": table,
        "claim": f"{one} - {other}",
        "published": round(means[0] - means[1], 2) if len(means) == 2 else None,
        "measured": round(float(differences.mean()), 2),
        "interval": [round(float(low), 2), round(float(high), 2)],
        "seeds": [round(float(value), 2) for value in differences.mean(axis=1)],
        "spread_over_cases": round(float(differences.mean(axis=0).std(ddof=1)), 2),
        "cases": cases,
        "p_bootstrap": float(min(1.0, 2 * max(beyond, 1 / SAMPLES))),
        "p_wilcoxon": float(wilcoxon(differences.mean(axis=0)).pvalue),
    }


def holm(values: Sequence[float]) -> list[float]:
    """Values of p, each times how many are as large or larger, and never below a smaller one."""
    order = np.argsort(values)
    corrected = np.maximum.accumulate(np.asarray(values)[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    result = np.empty(len(values))
    result[order] = corrected
    return [float(value) for value in result]


def judge(lines: Sequence[dict[str, Any]]) -> None:
    """Correct the values of p of all claims, and add what becomes of each."""
    for name in ("p_bootstrap", "p_wilcoxon"):
        for line, value in zip(lines, holm([line[name] for line in lines]), strict=True):
            line[f"{name}_holm"] = value
    for line in lines:
        side = np.sign(line["measured"])
        if line["p_bootstrap_holm"] >= LEVEL:
            line["verdict"] = "within noise"
        elif line["published"] is None:
            line["verdict"] = "better" if side > 0 else "worse"
        else:
            line["verdict"] = "holds" if side == np.sign(line["published"]) else "fails"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reproductions", type=Path, nargs="+")
    result = {}
    for reproduction in parser.parse_args().reproductions:
        lines = [line for claim in CLAIMS if (line := compare(reproduction, *claim))]
        judge(lines)
        result[str(reproduction)] = lines
        print(reproduction)
        print(f"{'table':<6} {'difference of Dice':<26} {'published':>9} {'measured':>9}   95 % over cases and seeds")
        for line in lines:
            low, high = line["interval"]
            seeds = ", ".join(f"{value:+.1f}" for value in line["seeds"])
            published = "" if line["published"] is None else f"{line['published']:+.2f}"
            print(
                f"{line['table']:<6} {line['claim']:<26} {published:>9} {line['measured']:>+9.2f}   "
                f"{low:+.1f} to {high:+.1f}; seeds {seeds}; p {line['p_bootstrap_holm']:.3f}, Wilcoxon "
                f"{line['p_wilcoxon_holm']:.3f}: {line['verdict']}"
            )
        print()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
