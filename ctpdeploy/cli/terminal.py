"""Output of the commands: progress on stderr, tables and JSON on stdout."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ctpdeploy import __version__
from ctpdeploy.errors import UsageError
from ctpdeploy.printable import printable

if TYPE_CHECKING:
    from ctpdeploy.cli.display import Display

__all__ = [
    "first_process",
    "log_to",
    "log_to_stderr",
    "mean_and_std",
    "print_json",
    "print_lines",
    "print_table",
    "progress",
    "say",
    "say_found",
    "table_lines",
]

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def progress() -> "Iterator[Display]":
    """A progress display on stderr: bars, or lines where stderr is a pipe, a file or a terminal that cannot redraw."""
    from rich.console import Console

    from ctpdeploy.cli.display import Bars, Lines

    console = Console(stderr=True)
    if not first_process():
        yield Lines(lambda _: None)
    elif console.is_terminal and not console.is_dumb_terminal:
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines(say)


def first_process() -> bool:
    """Whether this process is the one that prints, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def say(*lines: str) -> None:
    """Lines for people, on stderr, so that stdout stays the result."""
    for line in lines:
        typer.echo(printable(line), err=True)


def print_lines(*lines: str) -> None:
    """Lines of the result for people."""
    for line in lines:
        typer.echo(printable(line))


def say_found(cases: int, *places: Path) -> None:
    """Print the number of cases found in some places, before anything that takes long."""
    say(f"{cases} {'case' if cases == 1 else 'cases'} found in {', '.join(map(str, places))}.")


def log_to(file: Path) -> None:
    """Add what the packages log to a file, a line each with its date, beginning now.

    Raises:
        UsageError: the file cannot be written, or is a pipe that nobody reads.
    """
    try:
        handler = _LogFile(file, encoding="utf-8")
        handler.begin()
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}): name another file for --log.") from error
    _log_by(handler)


@contextmanager
def log_to_stderr(*, as_json: bool = False) -> Iterator[None]:
    """Print what the packages log meanwhile, a line each with its date, as services do; as text, or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Printable(_LINE))
    _log_by(handler)
    try:
        yield
    finally:
        logging.getLogger("ctpdeploy").removeHandler(handler)


def _log_by(handler: logging.Handler) -> None:
    logger = logging.getLogger("ctpdeploy")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class _Printable(logging.Formatter):
    """A line of the log, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return printable(super().format(record))


class _Json(logging.Formatter):
    """A line of the log, for a program."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        words = {"time": when, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        return json.dumps(words | ({"traceback": self.formatException(record.exc_info)} if record.exc_info else {}))


class _LogFile(logging.FileHandler):
    """Lines in a file; where one cannot be written any more that is said once, and the command goes on."""

    begun = False

    def begin(self) -> None:
        """Write a first line, as a trial.

        Raises:
            OSError: that is not possible.
        """
        self.setFormatter(_Printable(_LINE))
        first = {"name": "ctpdeploy", "levelname": "INFO", "msg": f"ctpdeploy {__version__} begins"}
        try:
            self.emit(logging.makeLogRecord(first))
        except OSError:
            with suppress(OSError):  # the line is still in the buffer
                self.close()
            raise
        self.begun = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's
        """Say why no more lines are written; the first one is a trial."""
        if not self.begun:
            raise
        logging.getLogger("ctpdeploy").removeHandler(self)
        say(f"Warning: the log ends here, since it cannot be written any more ({sys.exception()}).")

    def _open(self) -> TextIOWrapper:
        """The file, or the pipe that somebody reads, such as /dev/stderr; without waiting for a reader."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self.baseFilename, flags, 0o666)
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "a", encoding=self.encoding)


def print_json(value: dict[str, Any]) -> None:
    """The result for machines."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> None:
    """The result for people: the first columns are words, set left, the others figures, set right."""
    print_lines(*table_lines(header, rows, words))


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """The lines of a table: its header, a rule, and one a row."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = (
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def mean_and_std(mean: float | None, std: float | None, digits: int = 3) -> str:
    """``0.520 ± 0.200``, or a dash where there is nothing to average."""
    if mean is None or std is None:
        return "-"
    return f"{mean:.{digits}f} ± {std:.{digits}f}"
