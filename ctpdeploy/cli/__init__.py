"""The command line: one file a command, each of which parses, imports, calls and prints."""

import errno
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.cli import (
    benchmark,
    caches,
    demo,
    doctor,
    evaluate,
    export,
    figures,
    infer,
    inspect_study,
    node,
    phantom,
    push,
    reproduce,
    serve,
    train,
    trust,
    verify,
    warmup,
)
from ctpdeploy.cli.interruption import Interruption, raise_on_signals
from ctpdeploy.cli.output import guarded_output
from ctpdeploy.cli.terminal import log_to, print_lines, say
from ctpdeploy.errors import CtpdeployError, ExitCode
from ctpdeploy.printable import printable

__all__ = ["main", "run"]

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Faults of a disk that had room when it was tried."""

_CommandLineError: Any = typer.BadParameter.__base__
"""Of a command line that cannot be parsed; Typer exports it under no name of its own."""

app = typer.Typer(
    name="ctpdeploy",
    help="Stroke lesions from CT perfusion: train the pseudo-DWI pipeline, export it proven equal, run it from raw "
    f"series to lesion mask.\n\n{INTENDED_USE}",
    epilog="Start with: ctpdeploy demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes a quarter of a second to import
)

COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "demo": (demo.demo, "From nothing to lesion masks, with synthetic patients."),
    "phantom": (phantom.phantom, "Write synthetic stroke patients, with DWI and the truth."),
    "train": (train.train, "Train a system on cases with a lesion drawn."),
    "export": (export.export, "Turn a trained run into a bundle that is proven equal to it."),
    "verify": (verify.verify, "Check a bundle: files, signature, graphs, the gate again."),
    "trust": (trust.trust, "Open only bundles signed with keys of your choice."),
    "warmup": (warmup.warmup, "Prepare this machine for a bundle; find the fastest backend."),
    "infer": (infer.infer, "Find the lesions in one case or in a folder of cases."),
    "push": (push.push, "Send the DICOM objects of results to an archive."),
    "serve": (serve.serve, "Listen beside the scanner: compute, deliver, survive."),
    "node": (node.node, "Show what a node has; try again, or remove."),
    "inspect": (inspect_study.inspect_study, "List the DICOM series of a study, and which would be taken."),
    "benchmark": (benchmark.benchmark, "Measure what a bundle costs on this machine."),
    "evaluate": (evaluate.evaluate, "Score a run or a bundle on cases with a lesion drawn."),
    "reproduce": (reproduce.reproduce, "Train and score the rows of a table of the paper."),
    "figures": (figures.figures, "Draw the paper's figures of the rows that are trained."),
    "caches": (caches.caches, "List what is kept to save time, or clear it."),
    "doctor": (doctor.doctor, "List what this machine can do, and how to mend the rest."),
}
"""Each command and its line in the list of all, in the order in which a newcomer meets them."""


def _help(command: Callable[..., None]) -> str:
    """The docstring, wrapped as the terminal likes but for the example, which can be copied from a line of its own."""
    return inspect.cleandoc(command.__doc__ or "").replace("\n\nExample: ", "\n\n\b\nExample:\n  ")


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, help=_help(_command), short_help=_line)(_command)


@app.command("study", hidden=True, help=_help(reproduce.reproduce))
@wraps(reproduce.reproduce)
def _study(**options: Any) -> None:  # noqa: ANN401  those of reproduce
    """The name of ``reproduce`` before 0.1."""
    say("Warning: ctpdeploy study is deprecated: it is ctpdeploy reproduce now, and --out is reproduction by default.")
    reproduce.reproduce(**options)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_lines(f"ctpdeploy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001  ends the command itself
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[  # noqa: ARG001  read by run(), which is still there when the error arrives
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    log: Annotated[Path | None, typer.Option(help="Add a log to this file: a line a case, by number, no name.")] = None,
) -> None:
    if log is not None:
        log_to(log)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code (see ctpdeploy.errors)."""
    with guarded_output() as out:
        code = _run(arguments)
        if out is not None:
            out.flush()
            if out.fault is not None:
                say(
                    f"Error: The output could not be printed whole ({out.fault.strerror or out.fault}): what goes to "
                    "files is written all the same, print to where there is room and a reader."
                )
                code = code or int(ExitCode.USAGE)
    return code


def _run(arguments: list[str]) -> int:
    """Run a command line, say what ended it, and return its exit code."""
    try:
        stopped = app(arguments, prog_name="ctpdeploy", standalone_mode=False)
    except _CommandLineError as error:
        error.message = "\n".join(map(printable, error.message.split("\n")))  # of no command at all it is the help
        error.show()
        return int(error.exit_code)
    except Interruption as stop:
        say("", str(stop))
        return stop.exit_code
    except Exception as error:  # noqa: BLE001  of whatever kind, it ends in a sentence
        if "--debug" in arguments:
            say(*traceback.format_exc().splitlines())
        reason = " ".join(str(error).splitlines())  # those of others can have several
        if isinstance(error, CtpdeployError):
            say(f"Error: {reason}")
            return int(error.exit_code)
        if isinstance(error, OSError) and error.errno in _FULL:
            say(f"Error: {reason}: make room, what is complete stays.")
            return int(ExitCode.USAGE)
        say(f"Unexpected {type(error).__name__}: {reason} (ctpdeploy --debug ... shows where).")
        return int(ExitCode.FAILURE)
    return stopped if isinstance(stopped, int) else int(ExitCode.DONE)


def main() -> None:
    """Entry point of the ``ctpdeploy`` script."""
    raise_on_signals()
    sys.exit(run(sys.argv[1:]))
