"""What the commands share: progress on stderr, tables and JSON on stdout."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["mean_and_std", "print_json", "print_table", "progress", "say"]


@contextmanager
def progress() -> "Iterator[Progress]":
    """A progress display on stderr; ``update(task, text=...)`` says in words what is going on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=Console(stderr=True),
    ) as display:
        yield display


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays the result."""
    typer.echo(text, err=True)


def print_json(value: dict[str, Any]) -> None:
    """The result for machines."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The result for people: left-aligned names, right-aligned figures."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join([first, *others]).rstrip())


def mean_and_std(mean: float | None, std: float | None) -> str:
    """``0.52 ± 0.20``, or a dash where there is nothing to average."""
    if mean is None or std is None:
        return "-"
    return f"{mean:.3f} ± {std:.3f}"
