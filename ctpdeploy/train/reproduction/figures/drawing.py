"""All figures of a reproduction: what is drawn, of which rows and cases, and why the others are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctpdeploy.atomic import require_writable
from ctpdeploy.paper.systems import SYSTEMS, TABLES
from ctpdeploy.runtime.io.case_ref import by_name
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train.reproduction.figures.curves import draw_curves
from ctpdeploy.train.reproduction.figures.figure_cases import ShownCase, show_cases
from ctpdeploy.train.reproduction.figures.figure_scores import EvaluatedRun, evaluated_runs
from ctpdeploy.train.reproduction.figures.page import save_page
from ctpdeploy.train.reproduction.figures.panels import draw_panels
from ctpdeploy.train.reproduction.figures.selection import choose_cases
from ctpdeploy.train.reproduction.figures.size_groups import COLOURS, SIZE_GROUPS_TABLE, draw_size_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Drawn", "draw_figures"]

PANELS = {6: 1, 7: 2, 8: 3, 9: 5}
"""The table behind each figure that shows systems side by side."""

HEADINGS = {
    3: "the perfusion stage",
    6: "pseudo-DWI by loss of synthesis",
    7: "pseudo-DWI by input of synthesis",
    8: "segmentation by network",
    9: "segmentation by input",
    10: "scores by size of lesion",
}

CURVES = 2
"""As many as the source shows."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One picture.

    Attributes:
        file: where it is.
        rows: of the table, by name, in the order drawn; none in figure 3.
        cases: shown, in that order; none in figure 10, which is of all test cases.
    """

    file: Path
    rows: tuple[str, ...]
    cases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Figures drawn, and remarks on those that were not.

    Attributes:
        drawn: by number of the figure.
        remarks: on figures not drawn, with the reason, and on the cases shown; one sentence each.
    """

    drawn: Mapping[int, Drawn]
    remarks: tuple[str, ...]


def draw_figures(
    reproduction: Path,
    data: Path,
    out: Path,
    *,
    cases: Sequence[str] = (),
    seed: int = 0,
    device: str | None = None,
    on_prediction: Callable[[int, int], None] | None = None,
) -> Drawing:
    """Draw ``fig-3.png`` and ``fig-6.png`` to ``fig-10.png`` for the rows that were trained and evaluated.

    Args:
        reproduction: its folder, as :mod:`ctpdeploy.train.reproduction` lays it out.
        data: folder of cases.
        out: folder of the pictures, each of which appears whole or not at all and replaces an earlier one.
        cases: names of those to show; by default one small, one medium and one large of the test cases.
        seed: of the runs.
        device: where to compute, as for :func:`ctpdeploy.train.train`.
        on_prediction: called with the number of predictions done and of all.

    Raises:
        InputError: no run is evaluated, or a case, a run or the data cannot be read or lacks what is to be shown.
        UnknownKeyError: no case has a name given.
        UsageError: ``out`` cannot be written.
        GuardError: a network returned NaN or infinity.
    """
    require_writable(out)
    runs, found = evaluated_runs(reproduction, seed), by_name(find_cases(data))
    panels = {figure: _trained(TABLES[table], runs) for figure, table in PANELS.items()}
    systems = {system for rows in panels.values() for system in rows.values()}
    compared = {system: run for system, run in runs.items() if system in systems}
    chosen = choose_cases(
        found,
        [score for run in runs.values() for score in run.scores],
        cases,
        need_dwi=any("dwi" in SYSTEMS[system].sees for system in compared),
    )
    predicted = show_cases([found[name] for name in chosen], compared, device=device, on_prediction=on_prediction)
    synthetic = any(one.case.kind == "phantom" for one in predicted)
    material = _Material(runs=runs, shown=predicted, seed=seed, synthetic=synthetic)
    groups = _trained({row: TABLES[SIZE_GROUPS_TABLE][row] for row in COLOURS}, runs)
    out.mkdir(parents=True, exist_ok=True)
    drawn, remarks = {}, [*([] if cases else [_chosen(material.shown)]), *_flattered(material.shown)]
    for figure, rows in {3: {}, **panels, 10: groups}.items():
        obstacle = material.obstacle(figure, rows)
        if obstacle is not None:
            remarks.append(f"Figure {figure} is not drawn: {obstacle}")
            continue
        file = out / f"fig-{figure}.png"
        save_page(material.draw(figure, rows), file)
        shown = {3: chosen[:CURVES], 10: ()}.get(figure, chosen)
        drawn[figure] = Drawn(file=file, rows=tuple(rows), cases=shown)
    return Drawing(drawn=drawn, remarks=tuple(remarks))


@dataclass(frozen=True, kw_only=True)
class _Material:
    """Material of the figures: evaluated runs, and cases with their predictions."""

    runs: Mapping[str, EvaluatedRun]
    shown: Sequence[ShownCase]
    seed: int
    synthetic: bool

    def obstacle(self, figure: int, rows: Mapping[str, str]) -> str | None:
        """Reason why a figure of these rows cannot be drawn, as a clause, or None."""
        if figure == 3:
            return None
        if not rows:
            table = PANELS.get(figure, SIZE_GROUPS_TABLE)
            return f"none of its rows of table {table} is trained and evaluated with seed {self.seed}."
        tested = {frozenset(score.case for score in self.runs[system].scores) for system in rows.values()}
        if figure == 10 and len(tested) > 1:
            return f"its runs, {', '.join(rows.values())}, were not tested on the same cases: evaluate them alike."
        return None

    def draw(self, figure: int, rows: Mapping[str, str]) -> "Figure":
        """Draw a figure of these rows."""
        heading, notes = f"Figure {figure}: {HEADINGS[figure]}", (f"Runs of seed {self.seed}.",)
        config = next(iter(self.runs.values())).preprocess
        if figure == 3:
            cases = [shown.case for shown in self.shown[:CURVES]]
            return draw_curves(cases, config, heading=heading, synthetic=self.synthetic)
        if figure == 10:
            scores = {row: self.runs[system].scores for row, system in rows.items()}
            return draw_size_groups(scores, heading=heading, notes=notes, synthetic=self.synthetic)
        return draw_panels(
            PANELS[figure], rows, self.shown, config, heading=heading, notes=notes, synthetic=self.synthetic
        )


def _trained(rows: Mapping[str, str], runs: Mapping[str, EvaluatedRun]) -> dict[str, str]:
    """The rows, with their systems, of which there is a run."""
    return {row: system for row, system in rows.items() if system in runs}


def _chosen(shown: Sequence[ShownCase]) -> str:
    names = ", ".join(f"{one.case.identifier} ({one.volume_ml:.1f} ml)" for one in shown)
    return f"Shown are, of small, medium and large lesions, the test cases of median volume: {names}."


def _flattered(shown: Sequence[ShownCase]) -> list[str]:
    """A sentence for each case that a run has seen in training."""
    return [
        f"{one.case.identifier} was trained on, or chose the best epoch, in {len(one.seen_by)} of "
        f"{len(one.predictions)} runs: its Dice flatters there and is marked (seen)."
        for one in shown
        if one.seen_by
    ]
