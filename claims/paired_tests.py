"""Do the orderings of the source's tables hold in a reproduction? Paired differences of Dice between rows.

For each claim, a pair of rows whose published means differ, the difference of Dice is taken case by case and seed by
seed. Its mean stands with a 95 % bootstrap interval, for which both cases and seeds are drawn, and with the mean of
each seed. A claim holds if the interval lies on the published side of zero, fails if on the other, else it is within
noise. The last line is JSON.

    python claims/paired_tests.py FOLDER [FOLDER ...]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import TABLES

CLAIMS = (
    (5, "real_dwi", "dwi_olh"),
    (5, "dwi_olh", "Fo"),
    (5, "dwi_olh", "dwi_ol"),
    (5, "dwi_ol", "dwi_o"),
    (5, "dwi_o", "Fo"),
    (4, "wce_hgd", "ce"),
    (3, "slnet", "unet"),
)
"""Table and two of its rows."""

SAMPLES = 10_000


def dice(reproduction: Path, system: str) -> dict[str, NDArray[np.float64]]:
    """Dice of the test cases, in their order, by seed."""
    found = {}
    for file in sorted((reproduction / system).glob("seed-*/evaluation/scores.json")):
        scores = json.loads(file.read_text(encoding="utf-8"))
        found[file.parts[-3]] = np.array([score["networks"]["dice"] for score in scores])
    return found


def compare(reproduction: Path, table: int, one: str, other: str) -> dict[str, object] | None:
    """One claim; None if a row was not trained."""
    a, b = (dice(reproduction, TABLES[table][row]) for row in (one, other))
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    differences = 100 * np.array([a[seed] - b[seed] for seed in seeds])
    random, (runs, cases) = np.random.default_rng(0), differences.shape
    drawn = differences[
        random.integers(runs, size=(SAMPLES, runs, 1)), random.integers(cases, size=(SAMPLES, 1, cases))
    ]
    low, high = np.percentile(drawn.mean(axis=(1, 2)), [2.5, 97.5])
    printed = published_table(table).rows
    means = [cell.mean for row in (one, other) if (cell := printed[row].cells["dice_pct"])]
    published = means[0] - means[1]
    sides = {np.sign(low), np.sign(high)}
    verdict = "within noise" if len(sides) > 1 else "holds" if sides == {np.sign(published)} else "fails"
    return {
        "table": table,
        "claim": f"{one} - {other}",
        "published": round(published, 2),
        "measured": round(float(differences.mean()), 2),
        "interval": [round(float(low), 2), round(float(high), 2)],
        "seeds": [round(float(value), 2) for value in differences.mean(axis=1)],
        "cases": cases,
        "verdict": verdict,
    }


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reproductions", type=Path, nargs="+")
    result = {}
    for reproduction in parser.parse_args().reproductions:
        lines = [line for claim in CLAIMS if (line := compare(reproduction, *claim))]
        result[str(reproduction)] = lines
        print(reproduction)
        print(f"{'table':<6} {'difference of Dice':<20} {'published':>9} {'measured':>9}   95 % over cases and seeds")
        for line in lines:
            low, high = line["interval"]  # type: ignore[misc]
            seeds = ", ".join(f"{value:+.1f}" for value in line["seeds"])  # type: ignore[attr-defined]
            print(
                f"{line['table']:<6} {line['claim']:<20} {line['published']:>+9.2f} {line['measured']:>+9.2f}   "
                f"{low:+.1f} to {high:+.1f}; seeds {seeds}: {line['verdict']}"
            )
        print()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
