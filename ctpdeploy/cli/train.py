"""``ctpdeploy train``: from labelled cases to a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy.cli.options import CacheFolder, ConfigFile, PatientTable
from ctpdeploy.cli.terminal import first_process, progress, say, say_found

if TYPE_CHECKING:
    from ctpdeploy.cli.display import Display
    from ctpdeploy.train import ProgressEvent, RunSummary, TrainConfig

__all__ = ["preset_config", "show_training", "train", "train_run"]


def train(
    data: Annotated[Path, typer.Argument(help="Folder of cases with OT, and MR_DWI for most systems.")],
    out: Annotated[Path, typer.Option(help="Run folder to make or to resume.")],
    system: Annotated[
        str | None,
        typer.Option(help="A row of the paper's tables; ctpdeploy reproduce --list has all. Default: dwi_olh."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="paper: everything as printed; small: width 16; tiny: width 8 at 128x128, minutes. Default: paper."
        ),
    ] = None,
    config: ConfigFile = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="One setting on top of that, as loss.alpha=0.5; repeatable.")
    ] = None,
    patients: PatientTable = None,
    cache: CacheFolder = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out where it stopped, with its configuration.")
    ] = False,
) -> None:
    """Train a system: by default feature extractor, pseudo-DWI generator and SLNet end to end.

    The run folder holds configuration, split, model card, metrics of every epoch and the last and the best checkpoint.
    A run that was stopped goes on with --resume as if it had not been; with --set epochs=N it gets more epochs.

    Example: ctpdeploy train data --out runs/first --preset tiny --set epochs=20
    """
    from ctpdeploy.config import load
    from ctpdeploy.train.run_folder import RunFolder

    named = [*(override or []), *([f"system={system}"] if system else [])]
    if resume and preset is None:
        settings = load(RunFolder(out).config(), config, named)
    else:
        settings = preset_config(preset or "paper", config, named)
    summary = train_run(data, out, settings, patients=patients, resume=resume, cache=cache)
    if not first_process():
        return
    for warning in summary.warnings[len(summary.split.warnings) :]:  # the others were printed before the training
        say(f"Warning: {warning}")
    say(f"Best validation Dice {summary.best_dice:.3f} in epoch {summary.best_epoch} of {summary.epochs}: {out}.")
    found = summary.calibration
    cases = "case" if found.cases == 1 else "cases"
    say(
        f"Lesion is drawn above a probability of {found.threshold:.2f}, where the mean Dice of {found.cases} "
        f"validation {cases} is {found.dice:.3f} ({found.uncalibrated_dice:.3f} at 0.5)."
    )


def preset_config(preset: str, file: Path | None, overrides: list[str]) -> "TrainConfig":
    """A preset with a TOML file and overrides on top.

    Raises:
        UsageError: no preset has this name, or a setting is wrong.
    """
    from ctpdeploy.config import load
    from ctpdeploy.errors import UnknownKeyError
    from ctpdeploy.train import PRESETS

    if preset not in PRESETS:
        raise UnknownKeyError(preset, PRESETS, "--preset")
    return load(PRESETS[preset], file, overrides)


def train_run(
    data: Path,
    out: Path,
    settings: "TrainConfig",
    *,
    patients: Path | None = None,
    resume: bool = False,
    cache: Path | None = None,
) -> "RunSummary":
    """Train with a progress bar."""
    from ctpdeploy.train import train as train_networks
    from ctpdeploy.train.cache import CaseCache, default_cache

    with progress() as display:
        return train_networks(
            data,
            out,
            settings,
            patients=patients,
            resume=resume,
            cache=CaseCache(cache) if cache else default_cache(),
            on_progress=show_training(display, data),
        )


def show_training(display: "Display", data: Path) -> "Callable[[ProgressEvent], None]":
    """Two tasks in a display, the cases read and the steps of all epochs, each of which ends in a milestone."""
    reading = display.add_task("reading", total=None)
    training = display.add_task("training", total=None)
    best = loss = 0.0

    def show(event: "ProgressEvent") -> None:
        nonlocal best, loss
        if event.stage == "finding":
            say_found(event.steps, data)
            for warning in event.warnings:
                say(f"Warning: {warning}")
        elif event.stage == "reading":
            display.update(reading, completed=event.step, total=event.steps)
        else:
            ends = event.stage == "validation"
            best, loss = max(best, event.dice or 0.0), loss if event.loss is None else event.loss
            text = f"epoch {event.epoch}/{event.epochs}, loss {loss:.3f}, best Dice {best:.3f}, {event.learns}"
            total, done = event.epochs * event.steps, (event.epoch - 1) * event.steps + event.step
            if ends:
                display.update(training, text=text, milestone=True)
            else:
                display.update(training, completed=done, total=total, text=text)

    return show
