"""What the detour by a pseudo-DWI gains, against a property of the data: patients, information, size of the lesion.

Of each reproduction the paired differences between DWI^{o,l,h}, the same inputs straight into SLNet, and F_o: means
over seeds and patients, with 95 % intervals for which both are drawn. Reproductions are named by what varies, as
``patients=144``; those of one name are a panel. ``--sizes`` adds a panel by the true volumes of the patients of one.

    python claims/cascade_gain.py patients=36:p36 patients=72:p72 patients=144:gap1 gap=0:gap0 gap=1:gap1 --out gain.png
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from rounded import rounded

from ctpdeploy.paper.systems import CONTROLS, TABLES
from ctpdeploy.runtime.cohort.case_score import GROUPS, LARGE_ABOVE_ML, SMALL_BELOW_ML, CaseScore
from ctpdeploy.train.reproduction.paired_difference import PairedDifference, paired_difference
from ctpdeploy.train.reproduction.run_scores import read_scores

PAIRS: Final = (("dwi_olh", "features_frames"), ("dwi_olh", "Fo"), ("features_frames", "Fo"))
NAMES: Final = {"dwi_olh": "cascade", "features_frames": "straight in", "Fo": "maps alone"}
AXES: Final = {"patients": "patients trained on", "gap": "information gap", "size": "true volume, ml"}
SIZES: Final = dict(zip(GROUPS, (f"< {SMALL_BELOW_ML:g}", "between", f"> {LARGE_ABOVE_ML:g}"), strict=True))


def runs(reproduction: Path, row: str) -> dict[str, tuple[CaseScore, ...]]:
    """Scores of a row by seed."""
    system = (TABLES[5] | CONTROLS)[row]
    found = {one.name: read_scores(one, 0) for one in sorted((reproduction / system).glob("seed-*"))}
    return {seed: scores for seed, scores in found.items() if scores is not None}


def gain(
    one: dict[str, tuple[CaseScore, ...]], other: dict[str, tuple[CaseScore, ...]], score: str, group: str | None = None
) -> PairedDifference | None:
    """Of two rows at their common seeds, over all patients or those of a size; None where one has no run."""
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    kept = [i for i, case in enumerate(one[seeds[0]]) if group is None or case.group == group]
    names = [one[seeds[0]][i].case for i in kept]
    values = np.array([[one[seed][i].networks[score] - other[seed][i].networks[score] for i in kept] for seed in seeds])
    return paired_difference(values, names)


def gains(reproduction: Path, score: str, group: str | None = None) -> dict[str, PairedDifference]:
    """Every pair of a reproduction that has runs."""
    rows = {row: runs(reproduction, row) for row in NAMES}
    found = {f"{NAMES[a]} - {NAMES[b]}": gain(rows[a], rows[b], score, group) for a, b in PAIRS}
    return {pair: of for pair, of in found.items() if of}


def draw(panels: dict[str, dict[str, dict[str, PairedDifference]]], score: str, out: Path) -> None:
    """A panel for each property, a colour for each pair."""
    figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
    axes: Sequence[Any] = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axis, (name, points) in zip(axes, panels.items(), strict=True):
        axis.axhline(0, color="0.6", linewidth=0.8)
        for number, pair in enumerate(f"{NAMES[a]} - {NAMES[b]}" for a, b in PAIRS):
            there = [(place, points[value][pair]) for place, value in enumerate(points) if pair in points[value]]
            places = np.array([place for place, _ in there]) + 0.12 * (number - 1)
            means = np.array([100 * of.mean for _, of in there])
            ends = np.array([[100 * (of.mean - of.low), 100 * (of.high - of.mean)] for _, of in there]).T
            axis.errorbar(places, means, ends, fmt="o", capsize=3, label=pair.replace("-", "−"))
        axis.set_xticks(range(len(points)), list(points))
        axis.set_xlabel(AXES.get(name, name))
    axes[0].set_ylabel(f"difference of {score}, points")
    axes[-1].legend(fontsize=8, frameon=False)
    figure.suptitle("Synthetic patients: what the detour by a pseudo-DWI gains. Not clinical.", fontsize=10)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Compare, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reproductions", nargs="+", metavar="PROPERTY=VALUE:FOLDER")
    parser.add_argument("--sizes", type=Path, help="reproduction whose patients are told apart by their lesions")
    parser.add_argument("--score", default="dice", choices=("dice", "ap"))
    parser.add_argument("--out", type=Path, default=Path("gain.png"))
    options = parser.parse_args()
    panels: dict[str, dict[str, dict[str, PairedDifference]]] = {}
    for text in options.reproductions:
        what, _, folder = text.partition(":")
        name, _, value = what.partition("=")
        panels.setdefault(name, {})[value] = gains(Path(folder), options.score)
    if options.sizes:
        panels["size"] = {SIZES[group]: gains(options.sizes, options.score, group) for group in GROUPS}
    for name, points in panels.items():
        for value, pairs in points.items():
            for pair, of in pairs.items():
                seeds = " ".join(f"{100 * mean:+.1f}" for mean in of.by_seed)
                print(
                    f"{name} {value:8s} {pair:28s} {100 * of.mean:+5.1f} "
                    f"({100 * of.low:+.1f} to {100 * of.high:+.1f}; {of.patients} patients; seeds {seeds})"
                )
    draw(panels, options.score, options.out)
    print(
        json.dumps(
            rounded({n: {v: {p: vars(d) for p, d in ps.items()} for v, ps in vs.items()} for n, vs in panels.items()})
        )
    )


if __name__ == "__main__":
    main()
