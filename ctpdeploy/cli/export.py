"""``ctpdeploy export``: from a run folder to a verified bundle."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, progress, say

if TYPE_CHECKING:
    from ctpdeploy.export import Verification
    from ctpdeploy.runtime import Case

__all__ = ["export", "export_bundle"]

GATE_SEED = 20180916
"""Phantom patients of the gate: not those of any data set made with a small seed."""

STEPS = 6


def export(
    run: Annotated[Path, typer.Argument(help="Run folder made by ctpdeploy train.")],
    out: Annotated[Path, typer.Option(help="Bundle to make, by custom NAME.ctpbundle.")],
    cases: Annotated[
        Path | None, typer.Option(help="Cases on which the gate compares; two synthetic patients by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures of the gate as JSON.")] = False,
) -> None:
    """Fold normalisation, export the networks as ONNX, prove them equal to the trained ones, and seal a bundle.

    The gate compares torch in float64 with the exported graphs, network by network and end to end. If a limit does
    not hold, nothing is published and the exit code is 6.

    Example: ctpdeploy export runs/first --out first.ctpbundle
    """
    verification = export_bundle(run, out, cases)
    if as_json:
        import dataclasses

        print_json(dataclasses.asdict(verification))
        return
    worst = max(check.rms_error / check.eager_rms_error for check in verification.checks)
    say(
        f"The gate held on {verification.slices} slices of {', '.join(verification.cases)}: at most {worst:.2f} times "
        f"eager float32's own error, {verification.flips} labels flipped (eager: {verification.eager_flips}). "
        f"The bundle is {out}."
    )


def export_bundle(run: Path, out: Path, cases: Path | None = None) -> "Verification":
    """Export with a progress bar."""
    from ctpdeploy.export import export_run
    from ctpdeploy.runtime import find_cases, read_case

    with progress() as display:
        task = display.add_task("export", total=STEPS + 1, text="reading cases for the gate")
        chosen = [read_case(folder) for folder in find_cases(cases)] if cases else _synthetic_cases()

        def show(step: str) -> None:
            display.update(task, advance=1, text=step)

        verification = export_run(run, out, chosen, on_step=show)
        display.update(task, completed=STEPS + 1, text="")
    return verification


def _synthetic_cases() -> "list[Case]":
    """Two patients with two slices each, at the full resolution of ISLES 2018."""
    from ctpdeploy.phantom import PhantomConfig, write_dataset
    from ctpdeploy.runtime import read_case

    with tempfile.TemporaryDirectory() as folder:
        written: list[Any] = write_dataset(Path(folder), cases=2, seed=GATE_SEED, config=PhantomConfig(slices=2))
        return [read_case(path) for path in written]
