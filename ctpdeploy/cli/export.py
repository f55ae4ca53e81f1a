"""``ctpdeploy export``: from a run folder to a verified bundle."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, progress, say
from ctpdeploy.errors import UsageError

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
    zipped: Annotated[
        bool, typer.Option("--zip", help="Make one file, NAME.ctpbundle.zip; equal bundles are equal bytes.")
    ] = False,
    sign: Annotated[Path | None, typer.Option(help="Sign with this private key, an elliptic one in PEM.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of the trained weights, by custom an SPDX expression; kept in the bundle.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures of the gate as JSON.")] = False,
) -> None:
    """Fold normalisation, export the networks as ONNX, prove them equal to the trained ones, and seal a bundle.

    The gate compares torch in float64 with the exported graphs, network by network and end to end. If a limit does
    not hold, nothing is published and the exit code is 6.

    Example: ctpdeploy export runs/first --out first.ctpbundle
    """
    if zipped and out.suffix != ".zip":
        out = out.with_name(f"{out.name}.zip")
    password = _checked_password(sign) if sign else None
    verification = export_bundle(run, out, cases, archive=zipped, key=sign, password=password, licence=licence)
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


def export_bundle(
    run: Path,
    out: Path,
    cases: Path | None = None,
    *,
    archive: bool = False,
    key: Path | None = None,
    password: str | None = None,
    licence: str | None = None,
) -> "Verification":
    """Export with a progress bar."""
    from ctpdeploy.export import export_run
    from ctpdeploy.runtime import find_cases, read_case

    with progress() as display:
        task = display.add_task("export", total=STEPS + 1, text="reading cases for the gate")
        chosen = [read_case(folder) for folder in find_cases(cases)] if cases else _synthetic_cases()

        def show(step: str) -> None:
            display.update(task, advance=1, text=step)

        verification = export_run(
            run, out, chosen, on_step=show, archive=archive, key=key, password=password, licence=licence
        )
        display.update(task, completed=STEPS + 1, text="")
    return verification


def _checked_password(key: Path) -> str | None:
    """Ask for the password of a key that has one, and find out before the work whether the key will do."""
    from ctpdeploy.runtime.signature import require_signing_key

    if not key.is_file():
        raise UsageError(f"There is no key {key}: give a private key of an elliptic curve in PEM.")
    encrypted = b"ENCRYPTED" in key.read_bytes()
    password = str(typer.prompt(f"Password of {key}", hide_input=True, err=True)) if encrypted else None
    require_signing_key(key, password)
    return password


def _synthetic_cases() -> "list[Case]":
    """Two patients with two slices each, at the full resolution of ISLES 2018."""
    from ctpdeploy.phantom import PhantomConfig, write_dataset
    from ctpdeploy.runtime import read_case

    with tempfile.TemporaryDirectory() as folder:
        written: list[Any] = write_dataset(Path(folder), cases=2, seed=GATE_SEED, config=PhantomConfig(slices=2))
        return [read_case(path) for path in written]
