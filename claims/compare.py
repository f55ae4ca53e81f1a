"""The figures of the README beside those of this machine: what ``make bench`` ends with.

On the README's kind of machine and at its width the run ends with exit code 6 if a median lies outside the spread that
the README states, give or take a tenth, or if a backend of ctpdeploy could not be measured; other packages that could
not be are listed. Anywhere else both are shown and nothing is judged.

    python claims/compare.py bench
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import GRIDS, TOLERANCE, Figure, is_ours
from published_results import SCHEMAS, committed, kind_of_machine, read_results

from ctpdeploy.cli.terminal import print_table
from ctpdeploy.errors import CtpdeployError, ExitCode

__all__ = ["Pair", "other_conditions", "pairs", "report"]

YES, NO, MISSING = "yes", "NO", "not measured"
Results = Mapping[str, dict[str, Any]]
"""By their kind."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A figure of the README.

    Attributes:
        what: was run, and which ratio this is.
        stated: in the README.
        today: here; None if it was not measured.
    """

    what: tuple[str, str, str]
    stated: Figure
    today: Figure | None

    @property
    def verdict(self) -> str:
        """Whether it was measured again."""
        if self.today is None:
            return MISSING
        return YES if self.stated.holds(self.today) else NO

    @property
    def held_or_excused(self) -> bool:
        """Whether the README stands: another package may be missing, a backend of ctpdeploy not."""
        return self.verdict == YES or (self.verdict == MISSING and not is_ours(self.what[1]))


def pairs(stated: Results, today: Results) -> Iterator[Pair]:
    """Every figure of the README but those that cannot be otherwise: a reference beside itself, a ceiling's share."""
    for kind, grid in GRIDS.values():
        here = grid(today[kind]).rows
        of_readme = grid(stated[kind])
        for row, figures in of_readme.rows.items():
            for column, figure in figures.items():
                if figure.is_fixed and (figure.p50 == 1 or row in of_readme.ceilings):
                    continue
                yield Pair(what=(of_readme.title, row, column), stated=figure, today=here.get(row, {}).get(column))


def other_conditions(stated: Results, today: Results) -> list[str]:
    """Reasons why figures need not be those of the README: another machine, networks of another width or size."""
    reasons = []
    for kind in sorted({kind for kind, _ in GRIDS.values()}):
        of_readme, here = stated[kind], today[kind]
        if kind_of_machine(of_readme) != kind_of_machine(here):
            reasons.append(f"{kind}: {kind_of_machine(here)} is not the README's {kind_of_machine(of_readme)}")
        reasons += [
            f"{kind}: {key} {here[key]} is not the README's {of_readme[key]}"
            for key in ("width", "size")
            if here[key] != of_readme[key]
        ]
    return reasons


def report(stated: Results, today: Results) -> bool:
    """Print both; returns whether the README stands."""
    found = list(pairs(stated, today))
    rows = [[*pair.what, str(pair.stated), str(pair.today or "-"), pair.verdict] for pair in found]
    print_table(["", "", "ratio", "README", "today", "within"], rows, words=3)
    print()
    for kind in dict.fromkeys(kind for kind, _ in GRIDS.values()):
        print("\n".join(_circumstances(stated[kind], today[kind])))
    verdicts = [pair.verdict for pair in found]
    print(
        f"{verdicts.count(YES)} of {len(found)} medians are within the README's spread, give or take "
        f"{100 * TOLERANCE:.0f} %; {verdicts.count(NO)} are not, {verdicts.count(MISSING)} were not measured."
    )
    if reasons := other_conditions(stated, today):
        print(f"Nothing follows from that: {'; '.join(reasons)}.")
        return True
    return all(pair.held_or_excused for pair in found)


def _circumstances(stated: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[str]:
    """Circumstances of two runs, for a reader of their differences."""
    for when, found in (("README", stated), ("today", today)):
        product, other = Figure.of(found["sgemm_gflops"]), found["other_cores"]
        speed = f"{product.p50:.0f} GFLOP/s ({product.least:.0f}–{product.greatest:.0f})"
        busy = "" if other is None else f", other work kept {other:.2f} cores busy"
        yield f"{when}: {found['rounds']} rounds, matrix product at {speed}{busy}"
    before, now = (found["machine"]["versions"] for found in (stated, today))
    if changed := [f"{name} {now.get(name)}, not {before[name]}" for name in before if now.get(name) != before[name]]:
        yield f"versions: {'; '.join(changed)}"
    for part in (part for part in today.values() if isinstance(part, dict)):
        yield from (f"not timed: {name}: {why}" for name, why in part.get("not_timed", {}).items())


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where make bench left its results")
    folder = parser.parse_args().folder
    try:
        stated, today = (
            {kind: read_results(kind, where(kind)) for kind in SCHEMAS}
            for where in (committed, lambda kind: folder / f"{kind}.json")
        )
    except CtpdeployError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    if not report(stated, today):
        raise SystemExit(ExitCode.GUARD)


if __name__ == "__main__":
    main()
