"""Results of ``peers.py``, as the tables of docs/performance.md and of the README."""

from typing import Any

from figures import Figure, Grid, is_ours
from markdown_table import table

__all__ = ["floor", "in_readme", "one_slice", "whole_case"]


def in_readme(grid: Grid) -> str:
    """The figures that the README has; the fastest of ours is bold, ceilings are in italics."""
    ours = {name: seconds for name, seconds in grid.seconds.items() if is_ours(name)}
    labels = {name: f"*ceiling: {name}*" for name in grid.ceilings}
    if ours:
        fastest = min(ours, key=ours.__getitem__)
        labels[fastest] = f"**{fastest}**"
    columns = list(dict.fromkeys(column for row in grid.rows.values() for column in row))
    rows = [
        [
            labels.get(name, name),
            f"{grid.seconds[name]:.2f}",
            *(str(row.get(column, "")) for column in columns),
        ]
        for name, row in grid.rows.items()
    ]
    return table([grid.title, "s", *columns], rows)


def one_slice(peers: dict[str, Any]) -> str:
    """All ways to run the networks."""
    found = peers["one_slice"]
    ratios = ("times_eager", "times_ort_cpu", "of_matrix_product")
    rows = [
        [
            name,
            f"{x['seconds']['p50']:.2f}",
            *(str(Figure.of(x[ratio])) for ratio in ratios),
            f"{x['rms_error_in_eagers']:.2f}",
            f"{x['ready_s']:.0f}",
        ]
        for name, x in found["peers"].items()
    ]
    head = ["one slice", "s", "times eager", "times ort-cpu", "times the matrix product"]
    return "\n".join([table([*head, "error, of eager's", "ready after s"], rows), *_not_timed(found)])


def whole_case(peers: dict[str, Any]) -> str:
    """All ways from files to a mask."""
    found = peers["whole_case"]
    rows = [
        [name, f"{x['seconds']['p50']:.2f}", *(str(Figure.of(x[k])) for k in ("times_script", "of_matrix_product"))]
        for name, x in found["peers"].items()
    ]
    head = [f"{found['slices']} slices, files to mask", "s", "times the script", "times the matrix product"]
    return "\n".join([table(head, rows), *_not_timed(found)])


def floor(peers: dict[str, Any]) -> str:
    """Ours, the fastest first, as shares of the speed that no algorithm of a kind passes."""
    found = peers["one_slice"]
    ceilings = found["ceilings"]
    ours = sorted(filter(is_ours, found["peers"]), key=lambda name: found["peers"][name]["seconds"]["p50"])
    rows = []
    for name in ours:
        speed = Figure.of(found["peers"][name]["of_matrix_product"])
        rows.append([name, *(str(speed.share_of(x["of_matrix_product"]["p50"])) for x in ceilings.values())])
    heads = [f"{name}: {x['gflop']:.1f} GFLOP, {x['seconds']['p50']:.2f} s" for name, x in ceilings.items()]
    return table(["share of the ceiling's speed", *heads], rows)


def _not_timed(found: dict[str, Any]) -> list[str]:
    return [f"\nNot timed: {name}: {why}" for name, why in found["not_timed"].items()]
