"""A table of the source beside what was measured: published, measured, difference, row by row."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctpdeploy.paper.published import Cell, published_table
from ctpdeploy.paper.systems import TABLES, row_named

__all__ = ["Measured", "beside", "compare", "comparison_csv", "derived", "measure"]

PERCENT = {"dice_pct": "dice", "precision_pct": "precision", "recall_pct": "recall"}
"""Columns in percent and the fractions behind them; all other columns have the name of their score."""

PARAMETERS = "params_m"

HEADER = (
    *("table", "row", "column", "published", "published_std", "measured", "measured_std"),
    *("spread_over_seeds", "scans", "seeds", "derived"),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measured cells of a row, over all of its runs.

    Attributes:
        cells: by column; None where it is undefined in every case.
        scans: number of test cases.
        seeds: number of runs.
        spread: standard deviation over the runs of their means, by column; None for a single run.
    """

    cells: Mapping[str, Cell | None]
    scans: int
    seeds: int
    spread: Mapping[str, float | None]


def measure(table: int, summaries: Sequence[Mapping[str, Any]], parameters: int) -> Measured:
    """The cells of a row from the summaries of its runs, one a seed.

    Mean and standard deviation over scans, as the source gives them, each averaged over the runs.

    Args:
        table: its number, which determines the columns.
        summaries: of each run, as of :func:`ctpdeploy.runtime.cohort.score_summary.summarise`.
        parameters: number of weights of the segmenter.
    """
    cells: dict[str, Cell | None] = {}
    spread: dict[str, float | None] = {}
    for column in published_table(table).columns:
        if column == PARAMETERS:
            cells[column], spread[column] = Cell(mean=parameters / 1e6), None
            continue
        factor = 100.0 if column in PERCENT else 1.0
        figures = [summary["networks"][PERCENT.get(column, column)] for summary in summaries]
        defined = [figure for figure in figures if figure["n"]]
        means = [factor * figure["mean"] for figure in defined]
        deviations = [factor * figure["std"] for figure in defined]
        cells[column] = Cell(mean=float(np.mean(means)), std=float(np.mean(deviations))) if means else None
        spread[column] = float(np.std(means)) if len(means) > 1 else None
    return Measured(cells=cells, scans=summaries[0]["cases"], seeds=len(summaries), spread=spread)


def beside(summaries: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """What the source does not print of a row, means over its runs: how an expert and a clinician judge it.

    Args:
        summaries: of each run, one a seed; those of an earlier version lack some of it.

    Returns:
        ``ap``; ``abs_dv_ml``, and ``bias_ml`` with its sign; ``median_rve``, 1 for 100 %; ``dice_small``, Dice of
        lesions under 10 ml. None where it is undefined in every run.
    """
    found = [
        {
            "ap": of["networks"].get("ap", {}).get("mean"),
            "abs_dv_ml": of["networks"].get("abs_dv_ml", {}).get("mean"),
            "bias_ml": of.get("volumes", {}).get("networks", {}).get("bias_ml"),
            "median_rve": of["networks"]["rve"].get("median"),
            "dice_small": of["groups"]["small"]["networks"]["dice"]["mean"],
        }
        for of in summaries
    ]
    columns = {name: [of[name] for of in found if of[name] is not None] for name in found[0]}
    return {name: float(np.mean(values)) if values else None for name, values in columns.items()}


def compare(table: int, measured: Mapping[str, Measured]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of a table to print: three lines for each row, published, measured and difference.

    Args:
        table: its number.
        measured: by row; rows that were not trained are left out.
    """
    published = published_table(table)
    lines = []
    for row, printed in published.rows.items():
        own = measured.get(row)
        if own is None:
            continue
        runs = f"measured, {own.scans} scans" + (f", {own.seeds} seeds" if own.seeds > 1 else "")
        name = f"{printed.name}, derived" if derived(table, row) else printed.name
        lines.append([name, "published", *(_text(printed.cells[c]) for c in published.columns)])
        lines.append(["", runs, *(_text(own.cells[c]) for c in published.columns)])
        lines.append(["", "difference", *(_difference(printed.cells[c], own.cells[c]) for c in published.columns)])
    return [published.row_header, "", *published.columns.values()], lines


def comparison_csv(table: int, measured: Mapping[str, Measured]) -> str:
    """One line for each row and column, with unrounded figures."""
    published = published_table(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row, own in measured.items():
        last = (own.scans, own.seeds, "yes" if derived(table, row) else "no")
        for column in published.columns:
            printed, cell = published.rows[row].cells[column], own.cells[column]
            pairs = [(c.mean, c.std) if c else (None, None) for c in (printed, cell)]
            writer.writerow([table, row, column, *pairs[0], *pairs[1], own.spread[column], *last])
    return text.getvalue()


def derived(table: int, row: str) -> str:
    """What was chosen for a row of which the source leaves more open than a number; empty for any other."""
    return row_named(TABLES[table][row]).derived


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return f"{cell.mean:.2f}" if cell.std is None else f"{cell.mean:.2f} ± {cell.std:.2f}"


def _difference(printed: Cell | None, own: Cell | None) -> str:
    return f"{own.mean - printed.mean:+.2f}" if printed and own else "-"
