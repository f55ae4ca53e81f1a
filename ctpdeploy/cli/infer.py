"""``ctpdeploy infer``: from a case on disk to a lesion mask on disk."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of, with_emulator
from ctpdeploy.cli.terminal import print_json, print_table, progress, say, say_found
from ctpdeploy.errors import BatchError, InputError, UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime import CaseRef
    from ctpdeploy.runtime.bundle.trust import Signer
    from ctpdeploy.runtime.cohort.dicom_results import DicomResults
    from ctpdeploy.runtime.cohort.run import CaseOutcome, Cohort
    from ctpdeploy.runtime.report.submission import Submission

__all__ = ["infer", "infer_with_progress", "print_reports"]

EXPLICIT = "A case given by its files; leave out all four maps to have them computed from the series."


def infer(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="DICOM studies, cases laid out as ISLES 2018 or ISLES 2024, or folders of such."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results: one folder a case.")] = Path("results"),
    ctp: Annotated[Path | None, typer.Option(help=f"Raw 4D series. {EXPLICIT}")] = None,
    cbf: Annotated[Path | None, typer.Option(help="CBF map; integers are tenths of ml/100g/min.")] = None,
    cbv: Annotated[Path | None, typer.Option(help="CBV map; integers are tenths of ml/100g.")] = None,
    mtt: Annotated[Path | None, typer.Option(help="MTT map in s.")] = None,
    tmax: Annotated[Path | None, typer.Option(help="Tmax map in s.")] = None,
    frame_interval: Annotated[
        float | None, typer.Option(help="Seconds between frames, 0.2 to 10, whatever the files state.")
    ] = None,
    series: Annotated[
        str, typer.Option(help="UID or number of the DICOM series to take, where ctpdeploy inspect shows another.")
    ] = "",
    maps: Annotated[
        Literal["given", "computed"],
        typer.Option(
            help="Perfusion maps: those that come with a case, computed where none can be taken; or computed."
        ),
    ] = "given",
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
    dicom: Annotated[
        bool | None,
        typer.Option(
            "--dicom/--no-dicom",
            help="Write the results as DICOM objects too, in the patient's study.  [default: of DICOM studies]",
        ),
    ] = None,
    fractional: Annotated[
        bool, typer.Option("--fractional", help="Write the probability as a DICOM segmentation too, in shades.")
    ] = False,
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what is done: same inputs, bundle, backend and version, unharmed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Find the lesion in one case, in a folder of cases, or in explicit files.

    For each case: lesion mask, probability and pseudo-DWI as NIfTI in the geometry of the series, report.json and
    overview.png; of a DICOM study also DICOM objects, in dicom/. A case that cannot be used is refused in one sentence
    and leaves nothing behind; the others go on.

    Example: ctpdeploy infer demo/demo.ctpbundle demo/test --out results
    """
    from ctpdeploy.runtime.cohort.dicom_results import DicomResults
    from ctpdeploy.runtime.cohort.places import require_places
    from ctpdeploy.runtime.report.submission import Submission

    files = {"ctp": ctp, "cbf": cbf, "cbv": cbv, "mtt": mtt, "tmax": tmax}
    given = {key: path for key, path in files.items() if path is not None}
    if bool(given) == bool(inputs):
        raise UsageError("Give either cases or the files of one case (--ctp ...), for example: infer BUNDLE CASE.")
    objects = DicomResults(wanted=dicom, fractional=fractional)
    planned = None if submission is None else Submission(submission)
    cases = _explicit(name, given) if given else _found(inputs or [], series)
    cases = [replace(case, frame_interval=frame_interval, maps=maps) for case in cases]
    require_places(cases, out, planned, inputs=inputs or ())
    _require_apart_from_bundle(bundle, out)
    signer = signer_of(require_signature, no_require_signature)
    cohort = infer_with_progress(
        bundle, cases, out, backend=backend, resume=resume, submission=planned, dicom=objects, signer=signer
    )
    if cohort.submission:
        say(f"The masks to submit, {len(cohort.reports)}, are in {cohort.submission}.")
    if as_json:
        print_json({"cases": cohort.reports, "refused": cohort.refused})
    elif cohort.reports:
        print_reports(cohort.reports, out)
    if len(cases) == 1 and (error := cohort.outcomes[0].error):
        if earlier := cohort.outcomes[0].earlier:
            say(earlier)
        raise error
    if cohort.refused:
        names = ", ".join(cohort.refused)
        where = f"the others are in {out}{' and in the submission' if planned else ''}"
        rest = where if cohort.reports else "nothing was written"
        raise BatchError(f"{len(cohort.refused)} of {len(cases)} cases failed ({names}); {rest}.")


def _require_apart_from_bundle(bundle: Path, out: Path) -> None:
    place = Path(os.path.realpath(out))
    if Path(os.path.realpath(bundle)) in (place, *place.parents):
        raise UsageError(f"Results in {out} would lie in the bundle {bundle} and spoil it: choose another --out.")


def _explicit(name: str, files: dict[str, Path]) -> "list[CaseRef]":
    from ctpdeploy.runtime.data.case import require_case_name
    from ctpdeploy.runtime.io.layout import case_of_files

    try:
        require_case_name(name)
    except InputError as error:
        raise UsageError(str(error)) from error
    return [case_of_files(name, files)]


def _found(folders: list[Path], series: str) -> "list[CaseRef]":
    """The cases under some folders, counted on the terminal before anything long."""
    from ctpdeploy.runtime import find_cases
    from ctpdeploy.runtime.bundle.bundle import MANIFEST
    from ctpdeploy.runtime.io.case_ref import by_name

    for folder in folders:
        if (folder / MANIFEST).is_file() or folder.name.endswith((".ctpbundle", ".ctpbundle.zip")):
            raise UsageError(f"{folder} is a bundle, which goes first: ctpdeploy infer {folder} CASE.")
    cases = by_name(case for folder in folders for case in find_cases(folder, series=series))
    say_found(len(cases), *folders)
    return list(cases.values())


def infer_with_progress(
    bundle: Path,
    cases: "list[CaseRef]",
    out: Path,
    *,
    backend: str = "auto",
    resume: bool = False,
    submission: "Submission | None" = None,
    dicom: "DicomResults | None" = None,
    signer: "Signer" = None,
) -> "Cohort":
    """:func:`ctpdeploy.runtime.cohort.run.infer_cases` with a progress bar."""
    from ctpdeploy.runtime import Pipeline, infer_cases
    from ctpdeploy.runtime.cohort.dicom_results import OF_DICOM_STUDIES

    with Pipeline.open(bundle, backend, signer) as pipeline, progress() as display:
        task = display.add_task("infer", total=len(cases), text="")

        def show(outcome: "CaseOutcome") -> None:
            if outcome.error is not None and len(cases) > 1:  # of an only case it ends the command
                display.say(f"Error: {outcome.case}: {outcome.refusal}")
            display.update(task, advance=1, text=outcome.case)

        return infer_cases(
            pipeline,
            cases,
            out,
            resume=resume,
            submission=submission,
            dicom=dicom or OF_DICOM_STUDIES,
            on_case=show,
        )


def print_reports(reports: list[dict[str, Any]], out: Path) -> None:
    """A line a case, and where the results are."""
    rows = [
        [
            report["case"],
            f"{report['lesion']['volume_ml']:.1f}",
            str(len(report["lesion"]["components"])),
            report["engine"]["backend"],
            f"{_file_to_mask(report):.2f}",
            _count(report),
        ]
        for report in reports
    ]
    print_table(["case", "lesion ml", "components", "backend", "file to mask s", "findings"], rows)
    for report in reports:
        for found in report.get("findings", ()):
            if found["severity"] == "serious":
                say(f"{report['case']}: {found['sentence']}")
    say(f"Masks, reports and overview.png are in {out}. {_notices(reports)}")


def _notices(reports: list[dict[str, Any]]) -> str:
    """What every result says; an earlier version's report says what it is for."""
    return " ".join(dict.fromkeys(text for report in reports for text in report.get("notices", [INTENDED_USE])))


def _file_to_mask(report: dict[str, Any]) -> float:
    """Seconds from reading to the masks on disk: everything but what is made of them afterwards."""
    return sum(value for stage, value in report["seconds"].items() if stage not in ("overview", "dicom"))


def _count(report: dict[str, Any]) -> str:
    """``1 serious, 2 note``, the gravest first; sentences alone where an earlier version wrote the report."""
    severities = [found["severity"] for found in report.get("findings", ())]
    if not severities:
        return str(len(report["warnings"]) or "-")
    return ", ".join(f"{severities.count(severity)} {severity}" for severity in dict.fromkeys(severities))
