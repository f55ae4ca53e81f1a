"""``ctpdeploy benchmark``: what a bundle costs on this machine."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of
from ctpdeploy.cli.terminal import print_json, print_lines, print_table, progress, say, say_found

if TYPE_CHECKING:
    from ctpdeploy.benchmark import Results
    from ctpdeploy.runtime import Bundle

__all__ = ["benchmark", "print_results"]

SLICES, FRAMES, SEED = 3, 40, 20180918
"""Of the synthetic patient: fewer slices than most have, so that networks of full width end within minutes."""

_STEPS = 100


def benchmark(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    cases: Annotated[
        list[Path] | None,
        typer.Argument(help="Cases as for infer; the first is measured in detail. Without any, a synthetic patient."),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Backend to measure, repeatable; the first is what the others are compared with. All by default."
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How often each thing is measured; by default 3 to 100, as time allows.")
    ] = None,
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
    out: Annotated[Path | None, typer.Option(help="Also write all figures to this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure a bundle on this machine: stages from file to file, cold start, latency, throughput and memory.

    Each backend first has to give what torch found in float64 when the bundle was made; one that does not ends the
    benchmark with exit code 6 and no figures. Backends take turns in random order, and the machine's own speed (matrix
    product, copy) is measured in the same rounds.

    Example: ctpdeploy benchmark demo/demo.ctpbundle
    """
    from ctpdeploy.atomic import require_writable
    from ctpdeploy.benchmark import Plan, chosen_backends, run_benchmark
    from ctpdeploy.runtime import Bundle, find_cases
    from ctpdeploy.runtime.io.case_ref import by_name

    if out is not None:
        require_writable(out.parent)
    backends, signer = chosen_backends(backend or []), signer_of(require_signature, no_require_signature)
    with tempfile.TemporaryDirectory() as scratch, progress() as display:
        task = display.add_task("benchmark", total=_STEPS, text="" if cases else "making a synthetic patient")
        if cases:
            found = [case for folder in cases for case in find_cases(folder)]
            say_found(len(found), *cases)
        else:
            with Bundle.open(bundle, signer) as opened:
                found = find_cases(_synthetic_case(Path(scratch), opened))
        if len(found) == 1:  # a folder of one has no second case to overlap with
            found.append(replace(found[0], name=f"{found[0].name}-again"))
        named = list(by_name(found).values())
        plan = Plan(bundle=bundle, cases=named, synthetic=not cases, backends=backends, rounds=rounds, signer=signer)
        results = run_benchmark(plan, lambda text, done: display.update(task, completed=done * _STEPS, text=text))
        display.update(task, completed=_STEPS, text="")
    if out is not None:
        _write(results, out)
    if as_json:
        print_json(results.to_json())
    else:
        print_results(results)


def _synthetic_case(folder: Path, bundle: "Bundle") -> Path:
    """A patient on the grid of the bundle's networks, where that is square."""
    from ctpdeploy.phantom import PhantomConfig, write_dataset

    config = PhantomConfig(size=max(bundle.preprocess.slice_shape), slices=SLICES, frames=FRAMES)
    return write_dataset(folder / "synthetic", cases=1, seed=SEED, config=config)[0]


def _write(results: "Results", out: Path) -> None:
    from ctpdeploy.atomic import atomic_replace

    with atomic_replace(out) as partial:
        partial.write_text(json.dumps(results.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    say(f"All figures are in {out}.")


def print_results(results: "Results") -> None:
    """Tables for people."""
    from ctpdeploy.benchmark.quantiles import COUNT_RULE
    from ctpdeploy.benchmark.tables import heading, remarks, tables

    print_lines(*heading(results))
    for header, rows in tables(results):
        print_lines("")
        print_table(header, rows)
    for remark in remarks(results):
        say(remark)
    say(f"Medians; {COUNT_RULE} {INTENDED_USE}")
