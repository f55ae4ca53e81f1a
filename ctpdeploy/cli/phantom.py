"""``ctpdeploy phantom``: a synthetic data set."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy.cli.terminal import print_table, progress, say

if TYPE_CHECKING:
    from ctpdeploy.phantom import PhantomConfig

__all__ = ["make_cases", "more_cases", "phantom"]


def _list_layouts(layout: str | None) -> str | None:
    """Callback of ``--dicom``: ``list`` prints all layouts and ends the command."""
    if layout == "list":
        from ctpdeploy.phantom.dicom import LAYOUTS

        print_table(("layout", "what is written"), [(name, known.summary) for name, known in LAYOUTS.items()], words=2)
        raise typer.Exit
    return layout


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the cases; made if it is not there.")],
    cases: Annotated[int, typer.Option(min=1, help="How many patients.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Rows and columns of a slice.")] = 256,
    info_gap: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How much the raw series knows that the maps do not; 0 for nothing."),
    ] = 1.0,
    anatomy: Annotated[
        str, typer.Option(help="Where brains come from: procedural, or mni, an atlas that comes with nilearn.")
    ] = "procedural",
    motion: Annotated[
        float, typer.Option(min=0.0, help="How much the head moves: 1 for steps of 0.3 mm a frame and a jerk.")
    ] = 0.0,
    variant: Annotated[
        str | None,
        typer.Option(
            help="A phantom of another make, to test on what training never saw: mni, exponential or box (residue), "
            "motion, low-dose, white-noise, no-information-gap, comorbid, healthy (no stroke at all)."
        ),
    ] = None,
    dicom: Annotated[
        str | None,
        typer.Option(
            metavar="LAYOUT",
            callback=_list_layouts,
            is_eager=True,
            help="Write DICOM studies as scanners send them, with all that a study holds beside its CT perfusion: "
            "one-series, series-a-phase, enhanced, tilt and others; list prints all.",
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting on top of that, as slices=4, emboli=1, leukoaraiosis=1; repeatable."),
    ] = None,
) -> None:
    """Write synthetic stroke patients in the layout of ISLES 2018, or as DICOM studies, with DWI and the truth.

    Patients are made of equations: no patient's data is in them, and scores on them are not clinical.

    Example: ctpdeploy phantom data --cases 20 --seed 1
    """
    from ctpdeploy.config import load
    from ctpdeploy.phantom import PhantomConfig
    from ctpdeploy.phantom.variants import vary

    config = PhantomConfig(size=size, info_gap=info_gap, anatomy=anatomy, motion=motion)
    config = config if variant is None else vary(config, variant)
    make_cases(out, cases=cases, seed=seed, config=load(config, overrides=override or []), layout=dicom)
    say(
        f"{cases} synthetic {'case is' if cases == 1 else 'cases are'} in {out}. Scores on such cases are not clinical."
    )


def make_cases(
    out: Path, *, cases: int, seed: int, config: "PhantomConfig", first: int = 1, layout: str | None = None
) -> None:
    """Write cases ``first`` and on, with a progress bar, on as many cores as there are."""
    from ctpdeploy.phantom import write_dataset

    with progress() as display:
        task = display.add_task("phantom", total=cases, text="")
        write_dataset(
            out,
            cases=cases,
            seed=seed,
            config=config,
            first=first,
            layout=layout,
            workers=min(os.cpu_count() or 1, cases),
            on_case=lambda folder: display.update(task, advance=1, text=folder.name),
        )


def more_cases(data: Path, out: Path, cases: int) -> Path:
    """Phantoms of the settings of those in ``data`` and of another seed, in ``out``; those there already are kept.

    Returns:
        ``out``.

    Raises:
        InputError: the data are no phantoms.
    """
    from ctpdeploy.config import merge
    from ctpdeploy.errors import InputError
    from ctpdeploy.phantom import PhantomConfig
    from ctpdeploy.runtime import find_cases

    known = find_cases(data)
    try:
        made = [json.loads((case.folder / "truth.json").read_text(encoding="utf-8")) for case in known]
        seed = 1 + max(truth["seed"] for truth in made)
        settings = merge(PhantomConfig(), made[0]["config"], where=f"{known[0].folder / 'truth.json'}")
        first = 1 + max(truth["case"] for truth in made)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"The cases of {data} are no phantoms, or not all ({error!r}): put a folder of test cases in the place of "
            "--test-cases, as --test FOLDER."
        ) from error
    there = [number for number in range(first, first + cases) if (out / f"case_{number}").is_dir()]
    if len(there) < cases:
        make_cases(out, cases=cases - len(there), seed=seed, config=settings, first=first + len(there))
    return out
