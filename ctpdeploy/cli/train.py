"""``ctpdeploy train``: from labelled cases to a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy.cli.terminal import progress, say

if TYPE_CHECKING:
    from ctpdeploy.train import ProgressEvent, RunSummary, TrainConfig

__all__ = ["train", "train_run"]


def train(
    data: Annotated[Path, typer.Argument(help="Folder of cases with MR_DWI and OT.")],
    out: Annotated[Path, typer.Option(help="Run folder to make or to resume.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="paper: everything as printed; small: width 16; tiny: width 8 at 128x128, minutes. Default: paper."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file on top of the preset.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="One setting on top of that, as loss.alpha=0.5; repeatable.")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="CSV with columns case,patient: scans of one patient stay on one side.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in --out stopped, with its configuration.")
    ] = False,
) -> None:
    """Train the feature extractor, the pseudo-DWI generator and SLNet end to end.

    The run folder holds configuration, split, metrics of every epoch and the last and the best checkpoint. A run
    that was stopped goes on with --resume as if it had never been.

    Example: ctpdeploy train data --out runs/first --preset tiny --set epochs=20
    """
    from ctpdeploy.config import load
    from ctpdeploy.errors import UnknownKeyError
    from ctpdeploy.train import PRESETS
    from ctpdeploy.train.run import RunFolder

    preset = preset or ("paper" if not resume else None)
    if preset is not None and preset not in PRESETS:
        raise UnknownKeyError(preset, PRESETS, "--preset")
    settings = load(RunFolder(out).config() if preset is None else PRESETS[preset], config, override or [])
    summary = train_run(data, out, settings, patients=patients, resume=resume)
    for warning in summary.warnings:
        say(f"Warning: {warning}")
    say(f"Best validation Dice {summary.best_dice:.3f} in epoch {summary.best_epoch} of {summary.epochs}: {out}.")


def train_run(
    data: Path, out: Path, settings: "TrainConfig", *, patients: Path | None = None, resume: bool = False
) -> "RunSummary":
    """Train with a progress bar."""
    from ctpdeploy.train import train as train_networks

    with progress() as display:
        reading = display.add_task("reading", total=None, text="")
        training = display.add_task("training", total=None, text="")
        best = 0.0

        def show(event: "ProgressEvent") -> None:
            nonlocal best
            if event.stage == "reading":
                display.update(reading, completed=event.step, total=event.steps)
            elif event.stage == "training":
                done = (event.epoch - 1) * event.steps + event.step
                text = f"epoch {event.epoch}/{event.epochs}  loss {event.loss:.3f}  best Dice {best:.3f}"
                display.update(training, completed=done, total=event.epochs * event.steps, text=text)
            elif event.dice is not None:
                best = max(best, event.dice)

        return train_networks(data, out, settings, patients=patients, resume=resume, on_progress=show)
