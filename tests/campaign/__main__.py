"""``python -m campaign``, from ``tests``: spoiled cases, wrong bundles, killed runs, or a soak, as many as you like.

``cases`` (the default), ``studies`` and ``maps`` spoil copies of right cases, in NIfTI and in DICOM, of the last the
maps that a scanner made: exit code 1 where one gave a wrong mask without a word, crashed or hung. ``bundles`` makes a
bundle wrong and seals it again: exit code 1 where it was neither refused in a sentence nor answered as before; half
are of a small network with every operator, half of trained ones. ``kills`` ends runs over a folder by SIGKILL: exit
code 1 where a result was not whole, or another. ``node`` ends a node in the same way while a quarter as many studies
are sent to it: exit code 1 where a result did not arrive, or another one did. ``hostile`` sends it what is broken:
exit code 1 where that became a result, left something behind, or slowed a good sender to half. ``soak`` runs case
after case in one process: exit code 1 where it grew. Patients and a bundle are made in the folder of work, and used
again.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from campaign import kills, node_kills
from campaign.campaign import Counts, failures, run
from campaign.hostile import run_hostile
from campaign.judge import FAILURES, Outcome
from campaign.kills import run_kills
from campaign.node_kills import run_node_kills
from campaign.operator_bundle import write_operator_bundle
from campaign.soak import growth, has_grown, soak
from campaign.studies import run_studies, write_studies
from campaign.study_maps import run_study_maps, write_map_studies
from campaign.wrong_bundles import run_bundles
from ctpdeploy.cli.demo import SIZE, TRAIN_CASES, TRAIN_SEED
from ctpdeploy.cli.export import export_bundle
from ctpdeploy.cli.phantom import make_cases
from ctpdeploy.cli.terminal import print_table
from ctpdeploy.cli.train import train_run
from ctpdeploy.errors import CtpdeployError
from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.runtime import Pipeline, find_cases
from ctpdeploy.runtime.gate.inspection import repeat_gate
from ctpdeploy.train import PRESETS

TEST_CASES, TEST_SEED = 8, 3
SLOWEST = 2.0
"""How many times as long a good sender may take while others misbehave."""
VERDICTS = ("same", "said", "refused", *FAILURES)


def prepared(work: Path) -> tuple[Path, list[Path]]:
    """A bundle of the demo's training, and patients that it never saw."""
    config = PhantomConfig(size=SIZE)
    bundle = work / "campaign.ctpbundle"
    if not bundle.exists():
        if not (work / "train").exists():
            make_cases(work / "train", cases=TRAIN_CASES, seed=TRAIN_SEED, config=config)
        train_run(work / "train", work / "run", PRESETS["tiny"], cache=work / "cache")
        export_bundle(work / "run", bundle)
    if not (work / "test").exists():
        make_cases(work / "test", cases=TEST_CASES, seed=TEST_SEED, config=config)
    return bundle, sorted((work / "test").iterdir())


def say(number: int, name: str, outcome: Outcome) -> None:
    """What failed."""
    if outcome.verdict in FAILURES:
        print(f"{number}: {name}: {outcome.verdict}: {outcome.words}", flush=True)


def print_counts(counts: Counts) -> None:
    """A line for each mutation."""
    print_table(
        ("mutation", *VERDICTS),
        [(name, *(f"{of_one[verdict] or ''}" for verdict in VERDICTS)) for name, of_one in counts.items()],
    )


def spoil(bundle: Path, cases: list[Path], options: argparse.Namespace) -> int:
    """Spoiled cases; how many failed."""
    return spoil_each("spoiled cases", run, bundle, cases, options)


def spoil_studies(bundle: Path, _: list[Path], options: argparse.Namespace) -> int:
    """Spoiled DICOM studies; how many failed."""
    warnings.simplefilter("ignore")  # pydicom's, of what is written wrong here
    return spoil_each("spoiled studies", run_studies, bundle, write_studies(options.work / "studies"), options)


def spoil_study_maps(bundle: Path, _: list[Path], options: argparse.Namespace) -> int:
    """Spoiled maps of DICOM studies; how many failed."""
    warnings.simplefilter("ignore")  # pydicom's, of what is written wrong here
    right = write_map_studies(options.work / "map_studies")
    return spoil_each("studies with spoiled maps", run_study_maps, bundle, right, options)


def spoil_each(
    called: str, spoiled: Callable[..., Counts], bundle: Path, right: list[Path], options: argparse.Namespace
) -> int:
    """What is spoiled of what is right, and judged, on a backend; how many failed."""
    with Pipeline.open(bundle, options.backend) as pipeline:
        counts = spoiled(
            pipeline, right, options.work / "copies", count=options.count, seed=options.seed, on_outcome=say
        )
    print_counts(counts)
    print(f"{options.count} {called} on {options.backend}: {failures(counts)} failed.")
    return failures(counts)


def spoil_bundles(bundle: Path, cases: list[Path], options: argparse.Namespace) -> int:
    """Wrong bundles; how many failed."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        small = write_operator_bundle(Path(folder) / "operators.ctpbundle")
        for right in (small, bundle):
            try:
                repeat_gate(right, options.backend)
            except CtpdeployError as error:
                print(f"{right.name} is left out on {options.backend}: {error}")
                continue
            of_kinds = run_bundles(
                right,
                cases[0],
                options.backend,
                options.work / "copies",
                count=options.count // 2,
                seed=options.seed,
                on_outcome=say,
            )
            counts += sum(of_kinds.values(), Counter())
    failed = sum(counts[verdict] for verdict in FAILURES)
    print(f"{counts.total()} wrong bundles on {options.backend}: {dict(counts)}, {failed} failed.")
    return failed


def kill(bundle: Path, cases: list[Path], options: argparse.Namespace) -> int:
    """Killed runs; how many failed."""

    def say(number: int, verdict: str, words: str) -> None:
        print(f"{number}: {verdict}: {words}", flush=True)

    counts = run_kills(
        bundle,
        find_cases(cases[0].parent),
        options.work / "killed",
        count=options.count,
        seed=options.seed,
        on_outcome=say,
    )
    failed = sum(counts[verdict] for verdict in kills.FAILURES)
    print(f"{options.count} killed runs: {failed} failed.")
    return failed


def kill_node(bundle: Path, _: list[Path], options: argparse.Namespace) -> int:
    """A node, killed while scanners send and its archive is down now and then; how many failed."""
    verdicts = run_node_kills(
        bundle,
        options.work / "node",
        count=options.count,
        studies=max(options.count // 4, 3),
        seed=options.seed,
        on_kill=lambda number, objects: print(f"{number}: killed, {objects} objects delivered", flush=True),
    )
    failed = sum(verdicts[verdict] for verdict in node_kills.FAILURES)
    print(f"A node killed {options.count} times: {dict(verdicts)}, {failed} failed.")
    return failed


def attack_node(bundle: Path, _: list[Path], options: argparse.Namespace) -> int:
    """A node that hostile senders call while a good one goes on; how much it should not have cost."""
    warnings.simplefilter("ignore")  # pydicom's, of what is spoiled here
    toll = run_hostile(bundle, options.work / "hostile", count=options.count, seed=options.seed)
    print(toll)
    slower = f"a good sender took {toll.slowdown:.2f} times as long"
    print(f"{options.count} attacks: {slower}; {', '.join(toll.faults()) or 'no faults'}.")
    return len(toll.faults()) + (toll.slowdown > SLOWEST)


def last(bundle: Path, cases: list[Path], options: argparse.Namespace) -> int:
    """Cases in one process; 1 if it grew."""
    with Pipeline.open(bundle, options.backend) as pipeline:
        readings = soak(
            pipeline,
            find_cases(cases[0].parent),
            options.work / "soaked",
            count=options.count,
            on_reading=lambda reading: print(reading, flush=True),
        )
    print(f"{options.count} cases in one process on {options.backend}: {growth(readings)}.")
    return int(has_grown(readings))


KINDS = {
    "cases": spoil,
    "studies": spoil_studies,
    "maps": spoil_study_maps,
    "bundles": spoil_bundles,
    "kills": kill,
    "node": kill_node,
    "hostile": attack_node,
    "soak": last,
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=KINDS, default="cases")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="ort-cpu")
    parser.add_argument("--work", type=Path, default=Path("campaign"))
    options = parser.parse_args()
    bundle, cases = prepared(options.work)
    sys.exit(1 if KINDS[options.kind](bundle, cases, options) else 0)


if __name__ == "__main__":
    main()
