"""``ctpdeploy export``: from a run folder to a verified bundle."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, progress, say, say_found
from ctpdeploy.cli.verify import print_trials
from ctpdeploy.errors import UsageError

if TYPE_CHECKING:
    from ctpdeploy.export import ExportOptions
    from ctpdeploy.runtime import Case
    from ctpdeploy.runtime.gate.verification import Verification

__all__ = ["export", "export_bundle"]

SAMPLE_SEED, CALIBRATION_SEED = 20180916, 20180917
"""Synthetic patients of the gate and of calibration: not those of any data set made with a small seed."""

_STEPS = 100


def export(
    run: Annotated[Path, typer.Argument(help="Run folder made by ctpdeploy train.")],
    out: Annotated[Path, typer.Option(help="Bundle to make, NAME.ctpbundle by convention.")],
    cases: Annotated[
        Path | None, typer.Option(help="Cases on which the gate compares, besides two synthetic patients.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="fp32; fp16 or int8 for GPUs: as many convolutions in it as the limits on masks allow."),
    ] = "fp32",
    fold_sn_static: Annotated[
        bool, typer.Option(help="Freeze the statistics of Switchable Normalization to constants, an approximation.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Cases that give int8 and --fold-sn-static their constants; four synthetic ones by default."),
    ] = None,
    zipped: Annotated[
        bool, typer.Option("--zip", help="Make one file, NAME.ctpbundle.zip; equal bundles are equal bytes.")
    ] = False,
    sign: Annotated[Path | None, typer.Option(help="Sign with this private key of an elliptic curve, in PEM.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of the trained weights, best as an SPDX expression; kept in the bundle.")
    ] = None,
    allow_poor: Annotated[
        bool,
        typer.Option("--allow-poor", help="Seal networks under the validation floor too; each result says so."),
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(help="Also write a model repository for NVIDIA Triton into this folder, with a client."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures of the gate as JSON.")] = False,
) -> None:
    """Fold normalisation, export the networks as ONNX, prove them equal to the trained ones, and seal a bundle.

    The gate compares torch in float64 with the exported graphs, network by network and end to end. If a limit does
    not hold, nothing is published and the exit code is 6. In fp16 and int8 the masks decide; layers that cost too much
    are found by measuring and stay in float32. Networks whose mean validation Dice is under 0.2 are not exported
    (exit code 6) unless --allow-poor marks them.

    Example: ctpdeploy export runs/first --out first.ctpbundle
    """
    from ctpdeploy.atomic import require_writable
    from ctpdeploy.export import ExportOptions

    if zipped and out.suffix != ".zip":
        out = out.with_name(f"{out.name}.zip")
    if calibrate is not None and precision != "int8" and not fold_sn_static:
        raise UsageError("Nothing is calibrated: give --calibrate with --precision int8 or --fold-sn-static.")
    if triton is not None and triton.exists():
        raise UsageError(f"{triton} exists already: choose another folder for the model repository.")
    for place in (out.parent, *([] if triton is None else [triton.parent])):
        require_writable(place)
    options = ExportOptions(
        precision=precision,
        static_norm=fold_sn_static,
        archive=zipped,
        key=sign,
        password=_checked_password(sign) if sign else None,
        licence=licence,
        allow_poor=allow_poor,
    )
    verification = export_bundle(run, out, cases, calibrate, options)
    if triton is not None:
        _write_repository(out, triton)
    if as_json:
        import dataclasses

        print_json(dataclasses.asdict(verification))
        return
    _print(verification)
    say(f"The bundle is {out}.")


def export_bundle(
    run: Path,
    out: Path,
    cases: Path | None = None,
    calibrate: Path | None = None,
    options: "ExportOptions | None" = None,
) -> "Verification":
    """Export with a progress display, to which the beginning of a stage, the first word of its text, is a milestone."""
    from ctpdeploy.export import export_run

    with progress() as display:
        task = display.add_task("export", total=_STEPS, text="reading cases for the gate")

        stage = ""

        def show(text: str, share: float) -> None:
            nonlocal stage
            begun, stage = stage, text.partition(" ")[0]
            display.update(task, completed=round(share * _STEPS), text=text, milestone=stage != begun)

        calibration: list[Case] = []
        if options is not None and options.calibrates:
            calibration = _read(calibrate, run) if calibrate else _synthetic_cases(4, CALIBRATION_SEED)
        verification = export_run(
            run,
            out,
            _synthetic_cases(2, SAMPLE_SEED),
            cases=_read(cases, run) if cases else [],
            calibration=calibration,
            options=options,
            progress=show,
        )
        display.update(task, completed=_STEPS, text="")
    return verification


def _print(verification: "Verification") -> None:
    """Print the measurements, a line for each candidate, and sentences on nodes and layers."""
    print_trials(verification.trials)
    nodes = ", ".join(f"{role} {before} to {after}" for role, (before, after) in verification.nodes.items())
    say(
        f"The gate held on {verification.slices} slices of {', '.join(verification.cases)} (eager float32 flips "
        f"{verification.eager_flips} labels). Nodes before and after folding: {nodes}."
    )
    if verification.float32_layers:
        say(f"These layers stay in float32: {', '.join(verification.float32_layers)}.")


def _write_repository(bundle: Path, folder: Path) -> None:
    from ctpdeploy.export.triton import write_repository
    from ctpdeploy.runtime import ANYONE, Bundle

    with Bundle.open(bundle, ANYONE) as opened:  # made just now
        ready, to_build = write_repository(opened, folder)
    say(f"{folder} serves {ready} as it is; build_plan.sh in it makes {to_build} on the GPU that serves.")


def _checked_password(key: Path) -> str | None:
    """Prompt for the password of a key that has one, and check before the work whether the key will do."""
    from ctpdeploy.runtime.bundle.signature import require_signing_key

    if not key.is_file():
        raise UsageError(f"There is no key {key}: give a private key of an elliptic curve in PEM.")
    encrypted = b"ENCRYPTED" in key.read_bytes()
    password = str(typer.prompt(f"Password of {key}", hide_input=True, err=True)) if encrypted else None
    require_signing_key(key, password)
    return password


def _read(cases: Path, run: Path) -> "list[Case]":
    """Cases, with maps computed as those of the run where they have none."""
    from ctpdeploy.runtime import find_cases
    from ctpdeploy.train.run_folder import RunFolder

    found, perfusion = find_cases(cases), RunFolder(run).config().perfusion
    say_found(len(found), cases)
    return [case.read(perfusion) for case in found]


def _synthetic_cases(count: int, seed: int) -> "list[Case]":
    """Patients with two slices each, at the full resolution of ISLES 2018."""
    from ctpdeploy.phantom import PhantomConfig, write_dataset
    from ctpdeploy.runtime import read_case

    with tempfile.TemporaryDirectory() as folder:
        written: list[Any] = write_dataset(Path(folder), cases=count, seed=seed, config=PhantomConfig(slices=2))
        return [read_case(path) for path in written]
