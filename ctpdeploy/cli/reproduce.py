"""``ctpdeploy reproduce``: the source's tables, trained and measured on one's own data."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.options import CacheFolder, ConfigFile, PatientTable
from ctpdeploy.cli.terminal import print_json, print_lines, print_table, progress, say, table_lines
from ctpdeploy.cli.train import preset_config, show_training

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ctpdeploy.cli.display import Display
    from ctpdeploy.paper.systems import System
    from ctpdeploy.train.reproduction import Reproduction
    from ctpdeploy.train.reproduction.claims import JudgedClaim

__all__ = ["print_claims", "reproduce"]

WIDTH, INDENT = 80, " " * 7
"""Of the listing."""

LEADERBOARD = 6
"""The table whose published figures are of other scans than those of the others."""


def reproduce(
    table: Annotated[int | None, typer.Argument(help="Table of the paper, 1 to 6.")] = None,
    data: Annotated[Path | None, typer.Argument(help="Folder of cases with OT, and MR_DWI for most rows.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to begin or to go on with.")] = Path("reproduction"),
    rows: Annotated[str | None, typer.Option(help="Rows as --list names them, as Fo,dwi_olh. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row, with the seeds 0, 1, and on.")] = 1,
    test: Annotated[
        Path | None,
        typer.Option(help="Folder of test cases. Default, as the paper: of 94 patients of DATA 23 test, 6 validate."),
    ] = None,
    test_cases: Annotated[
        int | None,
        typer.Option(
            min=1, help="Where DATA are phantoms, make as many more, of another seed, in OUT/test to test on."
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=0, help="Cross-validate: every patient tested once, folds stratified by lesion volume. 0: no."
        ),
    ] = 0,
    score: Annotated[str, typer.Option(help="By which the paper's claims are judged: dice, ap or abs_dv_ml.")] = "dice",
    preset: Annotated[str, typer.Option(help="paper, small or tiny, as for ctpdeploy train.")] = "paper",
    config: ConfigFile = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="One setting on top of that; repeatable.")] = None,
    patients: PatientTable = None,
    cache: CacheFolder = None,
    show: Annotated[bool, typer.Option("--list", help="List the rows of all tables and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Train the rows of a table and print it in the paper's form: published, measured, difference.

    What is trained and evaluated already is not done again: the same command goes on where it was stopped, and a
    system that stands in several tables is trained once. Published figures are of 23 scans of ISLES 2018, those of
    table 6 of its testing set; on other data, and on the phantom above all, only the order of the rows can be compared.

    Of a row marked derived the paper leaves more open than a number, and --list says what was chosen; so it is of what
    others sent to the challenge, table 6. An ensemble is the mean of its members, each trained in a folder of its own.

    Below it, each claim of the paper whose two rows are trained: the paired difference with a 95 % interval, for which
    patients and seeds are drawn, its p adjusted by Holm over these claims, and Wilcoxon's beside it. Differences of
    patients scatter by some 10 points of Dice: for the paper's 2.7 take 100 to 240 test cases and 5 seeds or more.

    Example: ctpdeploy reproduce 5 data --rows Fo,dwi_olh --seeds 5 --test-cases 240
    """
    from ctpdeploy.errors import UsageError

    if show:
        _print_rows(as_json)
        return
    if table is None or data is None:
        raise UsageError("Name a table and a folder of cases, as in ctpdeploy reproduce 5 data; --list shows the rows.")
    from ctpdeploy.cli.phantom import more_cases
    from ctpdeploy.errors import UnknownKeyError
    from ctpdeploy.train.cache import CaseCache, default_cache
    from ctpdeploy.train.reproduction import Reproduction
    from ctpdeploy.train.reproduction.claims import SCORES_JUDGED

    if score not in SCORES_JUDGED:
        raise UnknownKeyError(score, SCORES_JUDGED, "the scores of claims")
    if sum(map(bool, (test, test_cases, folds))) > 1:
        raise UsageError("--test, --test-cases and --folds each say what is tested: give one of them.")
    settings = preset_config(preset, config, override or [])
    work = Reproduction(
        data=data,
        out=out,
        config=settings,
        test=more_cases(data, out / "test", test_cases) if test_cases else test,
        folds=folds,
        seeds=range(seeds),
        patients=patients,
        cache=CaseCache(cache) if cache else default_cache(),
    )
    chosen, left_out = work.trainable(table, rows.split(",") if rows else ())
    for sentence in left_out:
        say(f"Warning: {sentence}")
    _run(work, chosen)
    _print_table(work, table, score, as_json)


def _run(work: "Reproduction", chosen: dict[str, str]) -> None:
    """Every run that is still to do, with a bar for each."""
    for number, (row, name) in enumerate(chosen.items(), start=1):
        for system, seed in (run for own in work.seeds for run in (*work.members(name, own), (name, own))):
            if work.summary(system, seed) is None:
                kind = "ensemble" if work.members(system, seed) else "system"
                say(f"Row {number} of {len(chosen)}: {row}, {kind} {system}, seed {seed}")
            with progress() as display:
                testing = display.add_task("testing", total=None, visible=False)

                def scored(done: int, total: int, display: "Display" = display, task: "TaskID" = testing) -> None:
                    display.update(task, completed=done, total=total, visible=True)

                work.run(system, seed, on_progress=show_training(display, work.data), on_case=scored)


def _print_table(work: "Reproduction", table: int, score: str, as_json: bool) -> None:
    from dataclasses import asdict

    from ctpdeploy.paper.published import published_table
    from ctpdeploy.train.reproduction.claims import judged_claims
    from ctpdeploy.train.reproduction.comparison import compare, derived
    from ctpdeploy.train.split import read_patients

    measured, published = work.measured(table), published_table(table)
    patients = read_patients(work.patients) if work.patients else None
    claims = judged_claims(work.out, score=score, patients=patients)
    if as_json:
        beside = work.beside(table)
        rows = {
            row: {"published": asdict(published.rows[row]), "measured": asdict(own), "beside": beside[row]}
            | {"derived": derived(table, row)}
            for row, own in measured.items()
        }
        print_json(
            {"table": table, "caption": published.caption, "intended_use": INTENDED_USE, "rows": rows}
            | {"claims": {"score": score, "judged": [asdict(claim) for claim in claims]}}
        )
        return
    print_lines(f"Table {table}. {published.caption}", "")
    print_table(*compare(table, measured), words=2)
    print_lines("")
    _print_beside(work, table)
    if claims:
        print_lines("")
        print_claims(claims, score)
    say("", f"Mean ± std over scans. Unrounded, with the spread over seeds: {work.out / f'table-{table}.csv'}.")
    scans = "the testing set" if table == LEADERBOARD else "23 scans"
    say(f"Published: {scans} of ISLES 2018. Scores on synthetic patients are not clinical. {INTENDED_USE}")


def _print_beside(work: "Reproduction", table: int) -> None:
    """What the paper does not print of each row: order of the voxels, volumes in ml, small lesions."""
    header = ["row", "AP", "|dV| in ml", "bias in ml", "median volume error", "Dice < 10 ml"]
    formats = (".3f", ".1f", "+.1f", ".2f", ".3f")
    lines = [
        [row, *("-" if value is None else f"{value:{form}}" for value, form in zip(of.values(), formats, strict=True))]
        for row, of in work.beside(table).items()
    ]
    print_table(header, lines)


def print_claims(claims: "Sequence[JudgedClaim]", score: str) -> None:
    """The paper's claims beside what was measured; Dice and AP in percentage points, volumes in ml."""
    factor, unit = (1.0, "ml") if score == "abs_dv_ml" else (100.0, "points")
    lines = []
    for claim in claims:
        of = claim.measured
        interval = " to ".join(f"{factor * end:+.1f}" for end in (of.low, of.high))
        seeds = " ".join(f"{factor * mean:+.1f}" for mean in of.by_seed)
        p_values = (f"{p:.2g}" for p in (claim.holm_p, claim.holm_wilcoxon_p))
        difference = f"{claim.row} - {claim.other}" + (", derived" if claim.derived else "")
        lines.append(
            [
                difference,
                "" if claim.published is None else f"{claim.published:+.2f}",
                f"{factor * of.mean:+.2f}",
                interval,
                *p_values,
                seeds,
                claim.verdict,
            ]
        )
    columns = ["published Dice", f"{score}, {unit}", "95 %", "p", "Wilcoxon", "seeds", ""]
    print_table(["claim", *columns], lines)


def _print_rows(as_json: bool) -> None:
    """Every row of all tables with what it trains; lines of 80 columns at most."""
    from ctpdeploy.paper.published import published_table
    from ctpdeploy.paper.systems import CONTROLS, TABLES, UNDEFINED

    rows = [(table, row, name, _facts(name)) for table, names in TABLES.items() for row, name in names.items()]
    lost = [(table, row, why) for table, reasons in UNDEFINED.items() for row, why in reasons.items()]
    named = [*((table, row) for table, row, *_ in rows), *((table, row) for table, row, _ in lost)]
    printed = {(table, row): published_table(table).rows[row].name for table, row in named}
    if as_json:
        places = {key: {"table": str(key[0]), "row": key[1], "printed": title} for key, title in printed.items()}
        print_json(
            {"rows": [places[table, row] | {"system": name, **facts} for table, row, name, facts in rows]}
            | {"left_out": [places[table, row] | {"why": why} for table, row, why in lost]}
        )
        return
    header = ["table", "row", "as printed", "system", "DWI"]
    cells = [
        [str(table), row, printed[table, row], name, "needed" if facts["DWI"] == "needed" else ""]
        for table, row, name, facts in rows
    ]
    cells += [[str(table), row, printed[table, row], "none", ""] for table, row, _ in lost]
    sentences = [*(_sentence(facts) for *_, facts in rows), *(f"left out: {why}" for *_, why in lost)]
    first, rule, *lines = table_lines(header, cells, words=len(header))
    print_lines(first, rule)
    for line, sentence in zip(lines, sentences, strict=True):
        print_lines(line, *_wrapped(sentence))
    print_lines("", "Of no table, and trained beside the rows of any where --rows names it:")
    for row, name in CONTROLS.items():
        print_lines(f"       {row}", *_wrapped(_sentence(_facts(name))))


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)


def _facts(name: str) -> dict[str, str]:
    """What is trained for a row, by its system or ensemble; of an ensemble what its members have, each thing once."""
    from ctpdeploy.paper.systems import ENSEMBLES, row_named, system_named

    members = Counter(ENSEMBLES[name].members if name in ENSEMBLES else ())
    facts = [_system_facts(system_named(member)) for member in (members or [name])]
    joined = {key: ", ".join(dict.fromkeys(of[key] for of in facts)) for key in facts[0]}
    times = ", ".join(member if count == 1 else f"{count} x {member}" for member, count in members.items())
    return joined | {"members": times, "derived": row_named(name).derived}


def _system_facts(system: "System") -> dict[str, str]:
    return {
        "segmenter": system.segmenter,
        "loss": " + ".join(system.loss),
        "synthesis": " + ".join(system.synthesis.loss) if system.synthesis else "",
        "sees": "; ".join(f"{role}: {' + '.join(sees)}" for role, sees in system.wiring.items()),
        "trained": ", then ".join(" + ".join(stage) for stage in system.stages),
        "on": "balanced patches" if system.patches else "augmented slices" if system.augmented else "slices",
        "DWI": "needed" if system.needs_dwi else "not needed",
    }


def _sentence(facts: dict[str, str]) -> str:
    """Networks with their inputs and losses, and what learns together, and of what, where there is a choice."""
    parts = [
        f"mean of {facts['members']}" if facts["members"] else "",
        f"{facts['segmenter']} with {facts['loss']}",
        f"synthesis with {facts['synthesis']}" if facts["synthesis"] else "",
        facts["sees"],
        f"trained: {facts['trained']}" if facts["trained"] != "segmenter" else "",
        f"on {facts['on']}" if facts["on"] != "slices" else "",
        f"derived: {facts['derived']}" if facts["derived"] else "",
    ]
    return "; ".join(part for part in parts if part)
