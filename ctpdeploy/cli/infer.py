"""``ctpdeploy infer``: from a study on disk to a lesion mask on disk."""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.terminal import print_json, print_table, progress, say
from ctpdeploy.errors import BatchError, CtpdeployError, UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime import Case, Pipeline

    Readers = dict[str, Callable[[], Case]]

__all__ = ["case_readers", "infer", "infer_cases", "print_reports"]

EXPLICIT = "A case given by its files; leave out all four maps to have them computed from the series."


def infer(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Cases laid out as ISLES 2018, or folders of such cases.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results: one folder a case.")] = Path("results"),
    ctp: Annotated[Path | None, typer.Option(help=f"Raw 4D series. {EXPLICIT}")] = None,
    cbf: Annotated[Path | None, typer.Option(help="CBF map; integers are tenths of ml/100g/min.")] = None,
    cbv: Annotated[Path | None, typer.Option(help="CBV map; integers are tenths of ml/100g.")] = None,
    mtt: Annotated[Path | None, typer.Option(help="MTT map in s.")] = None,
    tmax: Annotated[Path | None, typer.Option(help="Tmax map in s.")] = None,
    name: Annotated[str, typer.Option(help="Name of the case given by --ctp.")] = "case",
    backend: Annotated[
        str, typer.Option(help="What runs the networks: auto, or a name that ctpdeploy doctor lists. Never another.")
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Skip cases that this bundle has done already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Find the lesion in one case, in a folder of cases, or in explicit files.

    For each case: lesion mask, probability and pseudo-DWI as NIfTI in the geometry of the series, report.json and
    overview.png. A case that cannot be used is refused in one sentence and leaves nothing behind; the others go on.

    Example: ctpdeploy infer demo/demo.ctpbundle demo/test --out results
    """
    from ctpdeploy.runtime.study import read_study

    files = {"ctp": ctp, "cbf": cbf, "cbv": cbv, "mtt": mtt, "tmax": tmax}
    given = {key: path for key, path in files.items() if path is not None}
    if bool(given) == bool(inputs):
        raise UsageError("Give either cases or the files of one case (--ctp ...), for example: infer BUNDLE CASE.")
    if Path(name).name != name:
        raise UsageError(f"'{name}' is no name for a case: give one without slashes.")
    explicit: Readers = {name: partial(read_study, name, given)}
    readers = explicit if given else case_readers(inputs or [])
    reports, refused = infer_cases(bundle, readers, out, backend=backend, resume=resume)
    if as_json:
        print_json({"cases": reports, "refused": refused})
    elif reports:
        print_reports(reports, out)
    if refused:
        names = ", ".join(refused)
        raise BatchError(f"{len(refused)} of {len(readers)} cases failed ({names}); the others are in {out}.")


def case_readers(inputs: list[Path]) -> "Readers":
    """How to read each case under some folders, by its name.

    Raises:
        InputError: a folder holds no case.
        UsageError: two cases have the same name.
    """
    from ctpdeploy.runtime import find_cases, read_case
    from ctpdeploy.runtime.isles2018 import case_name

    readers: Readers = {}
    for folder in [case for path in inputs for case in find_cases(path)]:
        name = case_name(folder)
        if name in readers:
            raise UsageError(f"Two cases are called {name}: infer them into different --out folders.")
        readers[name] = partial(read_case, folder)
    return readers


def infer_cases(
    bundle: Path, readers: "Readers", out: Path, *, backend: str = "auto", resume: bool = False
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One case after the other, with a progress bar.

    Returns:
        The reports, and why each refused case was refused; the only case of a call is not refused but raises.
    """
    from ctpdeploy.runtime import Bundle, Pipeline
    from ctpdeploy.runtime.backends import open_engine

    opened = Bundle.open(bundle)
    pipeline = Pipeline(open_engine(opened, backend), opened.preprocess)
    source = {"bundle": {"name": bundle.resolve().name, "sha256": opened.sha256}, "backend_requested": backend}
    reports, refused = [], {}
    with progress() as display:
        task = display.add_task("infer", total=len(readers), text="")
        for name, read in readers.items():
            display.update(task, text=name)
            done = _finished(out / name, source) if resume else None
            try:
                reports.append(done or _run_one(read, pipeline, out, source))
            except CtpdeployError as error:
                if len(readers) == 1:
                    raise
                say(f"Error: {name}: {error}")
                refused[name] = str(error)
            display.advance(task)
    return reports, refused


def _run_one(read: "Callable[[], Case]", pipeline: "Pipeline", out: Path, source: dict[str, Any]) -> dict[str, Any]:
    from ctpdeploy.runtime.writers import REPORT, write_prediction

    start = time.perf_counter()
    case = read()
    read_seconds = time.perf_counter() - start
    folder = write_prediction(out, case, pipeline.predict(case), source=source, read_seconds=read_seconds)
    return _load(folder / REPORT)


def _finished(folder: Path, source: dict[str, Any]) -> dict[str, Any] | None:
    """The report of an earlier run of the same bundle, or None."""
    from ctpdeploy.runtime.writers import REPORT

    if not (folder / REPORT).is_file():
        return None
    report = _load(folder / REPORT)
    return report if report.get("bundle") == source["bundle"] else None


def _load(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def print_reports(reports: list[dict[str, Any]], out: Path) -> None:
    """A line a case, and where the results are."""
    rows = [
        [
            report["case"],
            f"{report['lesion']['volume_ml']:.1f}",
            str(len(report["lesion"]["components"])),
            report["engine"]["backend"],
            f"{_file_to_mask(report):.2f}",
            str(len(report["warnings"])),
        ]
        for report in reports
    ]
    print_table(["case", "lesion ml", "components", "backend", "file to mask s", "warnings"], rows)
    say(f"Masks, reports and overview.png are in {out}. {INTENDED_USE}")


def _file_to_mask(report: dict[str, Any]) -> float:
    """Seconds from reading to the masks on disk: everything but the picture."""
    return sum(value for stage, value in report["seconds"].items() if stage != "overview")
