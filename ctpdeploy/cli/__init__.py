"""The command line: one file a command, each of which parses, imports, calls and prints."""

import sys
from typing import Annotated

import typer

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.cli import (
    benchmark,
    demo,
    doctor,
    evaluate,
    export,
    figures,
    infer,
    phantom,
    reproduce,
    train,
    verify,
    warmup,
)
from ctpdeploy.errors import CtpdeployError, ExitCode

__all__ = ["main", "run"]

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

# in the order in which a newcomer meets them
app.command("demo")(demo.demo)
app.command("phantom")(phantom.phantom)
app.command("train")(train.train)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("warmup")(warmup.warmup)
app.command("infer")(infer.infer)
app.command("benchmark")(benchmark.benchmark)
app.command("evaluate")(evaluate.evaluate)
app.command("reproduce")(reproduce.reproduce)
app.command("study", hidden=True, deprecated=True)(reproduce.reproduce)  # its name until 0.1
app.command("figures")(figures.figures)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctpdeploy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass  # --debug is read by run(), which is still there when the error arrives


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code (see ctpdeploy.errors)."""
    try:
        app(arguments, prog_name="ctpdeploy")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(ExitCode.FAILURE)
    except Exception as error:
        if "--debug" in arguments:
            raise
        if isinstance(error, CtpdeployError):
            typer.echo(f"Error: {error}", err=True)
            return int(error.exit_code)
        typer.echo(f"Unexpected {type(error).__name__}: {error} (ctpdeploy --debug ... shows where).", err=True)
        return int(ExitCode.FAILURE)
    return int(ExitCode.DONE)


def main() -> None:
    """Entry point of the ``ctpdeploy`` script."""
    sys.exit(run(sys.argv[1:]))
