"""What the commands share: progress on stderr, tables and JSON on stdout."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["first_process", "mean_and_std", "print_json", "print_table", "progress", "say"]


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
        disable=not first_process(),
    ) as display:
        yield display


def first_process() -> bool:
    """Whether this process is the one that speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays the result."""
    typer.echo(text, err=True)


def print_json(value: dict[str, Any]) -> None:
    """The result for machines."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> None:
    """The result for people: the first columns are words, set left, the others figures, set right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = (
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join(cells).rstrip())


def mean_and_std(mean: float | None, std: float | None, digits: int = 3) -> str:
    """``0.520 ± 0.200``, or a dash where there is nothing to average."""
    if mean is None or std is None:
        return "-"
    return f"{mean:.{digits}f} ± {std:.{digits}f}"
