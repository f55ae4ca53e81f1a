"""``ctpdeploy inspect``: what a study holds, and what would be taken of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, print_table, say
from ctpdeploy.errors import InputError

__all__ = ["inspect_study"]


def inspect_study(
    study: Annotated[Path, typer.Argument(help="Folder with the images of one study or more, at any depth, or a zip.")],
    series: Annotated[str, typer.Option(help="UID or number of the series to take, whatever it looks like.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, with all UIDs.")] = False,
) -> None:
    """List the DICOM series of a study, what each is, and which infer would take for CT perfusion and for its maps.

    No pixel is read. Where several series show one scan, the one whose slices are nearest to 4 to 12 mm is taken;
    --series overrules every choice, here and in infer.

    Example: ctpdeploy inspect study --json
    """
    from ctpdeploy.runtime.dicom.description import describe_study
    from ctpdeploy.runtime.dicom.study import survey
    from ctpdeploy.runtime.io.layout import walk

    files = walk(study) if study.is_dir() else [study] if study.is_file() else []
    found = survey(files)
    studies = [describe_study(one, series) for one in found.studies]
    if as_json and studies:
        unread = [one.because for one in found.unread]
        print_json({"studies": studies, "unreadable": unread, "passed_over": dict(found.passed_over)})
    else:
        for one in studies:
            _print(one, alone=len(studies) == 1)
        say(*(one.because for one in found.unread))
        if found.passed_over:
            counts = ", ".join(f"{number} ({because})" for because, number in found.passed_over.items())
            say(f"Passed over of {len(files)} files: {counts}.")
    if not studies:
        raise InputError(f"{study} holds no DICOM images: give the folder or the zip that a scanner or a PACS made.")
    faults = [one["fault"] for one in studies if one["fault"]]
    if len(faults) == len(studies):
        raise InputError(f"{study}: {faults[0]}")


def _print(study: dict[str, Any], *, alone: bool) -> None:
    if not alone:
        say(f"Study {study['study_uid']}")
    rows = [
        [
            one["number"] or "-",
            one["description"][:28] or "-",
            one["kind"],
            "taken" if one["taken"] else _maps(one["maps"]) or one["because"],
            str(one["files"]),
            str(one["places"] or "-"),
            str(one["times"] or "-"),
            f"{one['thickness']:g}" if one["thickness"] else "-",
        ]
        for one in study["series"]
    ]
    print_table(["series", "description", "kind", "because", "files", "slices", "times", "mm"], rows, words=4)
    print_table(["series", "UID"], [[one["number"] or "-", _uid(one["uids"])] for one in study["series"]], words=2)
    for scan in study["scans"]:
        say(_sentence(scan))
        for found in scan["findings"]:
            say(found["sentence"])


def _uid(uids: list[str]) -> str:
    return uids[0] if len(uids) == 1 else f"{uids[0]} and {len(uids) - 1} more"


def _maps(maps: list[dict[str, Any]]) -> str:
    """What a series maps in which units, and for which scan that would be taken or why not."""
    reasons: dict[str, list[str]] = {}
    for one in maps:
        taken = f"taken for series {', '.join(number or '-' for number in one['taken_for'])}"
        title = f"{one['title']} in {one['unit']}" if one["unit"] else one["title"]
        reasons.setdefault(taken if one["taken_for"] else one["because"], []).append(title)
    return "; ".join(f"{', '.join(titles)}: {because}" for because, titles in reasons.items())


def _sentence(scan: dict[str, Any]) -> str:
    unit = scan["clock_unit"]
    steps = f"{scan['interval']:g}"
    if scan["longest_interval"] > 1.05 * scan["shortest_interval"]:
        steps = f"{scan['shortest_interval']:g} to {scan['longest_interval']:g}"
    tilt = f", gantry tilted by {scan['tilt']:g} degrees" if scan["tilt"] >= 0.1 else ""
    once = "" if scan["slices_at_once"] else ", each slice at times of its own"
    return (
        f"Series {scan['series'] or '-'} would be taken: {scan['phases']} volumes of {scan['slices']} slices of "
        f"{scan['rows']} x {scan['columns']}, every {steps} {unit} for {scan['duration']:g} {unit} by "
        f"{scan['clock']}{once}; slices of {scan['thickness']:g} mm every {scan['distance']:g} mm{tilt}."
    )
