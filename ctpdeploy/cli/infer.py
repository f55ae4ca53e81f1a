"""``ctpdeploy infer``: from a study on disk to a lesion mask on disk."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.batch import CaseReader, case_readers, infer_cases
from ctpdeploy.cli.options import with_emulator
from ctpdeploy.cli.terminal import print_json, print_table, say
from ctpdeploy.cli.verify import KEY_HELP
from ctpdeploy.errors import BatchError, UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime.report.submission import Submission

__all__ = ["infer", "print_reports"]

EXPLICIT = "A case given by its files; leave out all four maps to have them computed from the series."


def infer(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Cases laid out as ISLES 2018 or ISLES 2024, or folders of such cases.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results: one folder a case.")] = Path("results"),
    ctp: Annotated[Path | None, typer.Option(help=f"Raw 4D series. {EXPLICIT}")] = None,
    cbf: Annotated[Path | None, typer.Option(help="CBF map; integers are tenths of ml/100g/min.")] = None,
    cbv: Annotated[Path | None, typer.Option(help="CBV map; integers are tenths of ml/100g.")] = None,
    mtt: Annotated[Path | None, typer.Option(help="MTT map in s.")] = None,
    tmax: Annotated[Path | None, typer.Option(help="Tmax map in s.")] = None,
    name: Annotated[str, typer.Option(help="Name of the case given by --ctp.")] = "case",
    backend: Annotated[
        str,
        typer.Option(
            help="What runs the networks: auto, or a name that ctpdeploy doctor lists. Never another.",
            callback=with_emulator,
        ),
    ] = "auto",
    submission: Annotated[
        str | None, typer.Option(help="Make a submission to ISLES 2018 of this name: OUT/submission, with a zip.")
    ] = None,
    require_signature: Annotated[Path | None, typer.Option(help=KEY_HELP)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip cases that this bundle has done already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Find the lesion in one case, in a folder of cases, or in explicit files.

    For each case: lesion mask, probability and pseudo-DWI as NIfTI in the geometry of the series, report.json and
    overview.png. A case that cannot be used is refused in one sentence and leaves nothing behind; the others go on.

    Example: ctpdeploy infer demo/demo.ctpbundle demo/test --out results
    """
    from ctpdeploy.runtime.io.nifti_case import read_nifti_case
    from ctpdeploy.runtime.report.submission import SUBMISSION, Submission

    files = {"ctp": ctp, "cbf": cbf, "cbv": cbv, "mtt": mtt, "tmax": tmax}
    given = {key: path for key, path in files.items() if path is not None}
    if bool(given) == bool(inputs):
        raise UsageError("Give either cases or the files of one case (--ctp ...), for example: infer BUNDLE CASE.")
    if Path(name).name != name or name in ("", ".."):
        raise UsageError(f"'{name}' is no name for a case: give one without slashes.")
    explicit = {name: CaseReader(read=partial(read_nifti_case, name, given), files=lambda: given)}
    planned = None if submission is None else Submission(submission)
    readers = explicit if given else case_readers(inputs or [])
    if planned and SUBMISSION in readers:
        raise UsageError(f"A case called {SUBMISSION} would lie where the submission goes: rename the case.")
    reports, refused = infer_cases(
        bundle, readers, out, backend=backend, resume=resume, submission=planned, key=require_signature
    )
    if planned and reports:
        _submit(planned, reports, out)
    if as_json:
        print_json({"cases": reports, "refused": refused})
    elif reports:
        print_reports(reports, out)
    if refused:
        names = ", ".join(refused)
        where = f"{out} and in the submission" if planned else f"{out}"
        raise BatchError(f"{len(refused)} of {len(readers)} cases failed ({names}); the others are in {where}.")


def _submit(submission: "Submission", reports: list[dict[str, Any]], out: Path) -> None:
    """Write the submission, then name each case's file in its report, in memory and on disk."""
    from ctpdeploy.atomic import atomic_replace
    from ctpdeploy.runtime.report.submission import SUBMISSION
    from ctpdeploy.runtime.report.writers import REPORT

    masks = {report["case"]: out / report["case"] / report["outputs"]["mask"] for report in reports}
    files = submission.write(out / SUBMISSION, masks)
    for report in reports:
        report["submission"] = f"{SUBMISSION}/{files[report['case']]}"
        with atomic_replace(out / report["case"] / REPORT) as partial_report:
            partial_report.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    say(f"{len(files)} masks to submit are in {out / SUBMISSION / submission.name}.zip.")


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
