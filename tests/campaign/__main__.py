"""``python -m campaign``, from ``tests``: as many spoiled cases as you like, and what came of them.

Patients and a bundle are made in the folder of work, and used again. Exit code 1 where a case gave a wrong mask
without a word, crashed or hung.
"""

import argparse
import sys
from pathlib import Path

from campaign.campaign import failures, run
from campaign.judge import FAILURES, Outcome
from ctpdeploy.cli.demo import SIZE, TRAIN_CASES, TRAIN_SEED
from ctpdeploy.cli.export import export_bundle
from ctpdeploy.cli.phantom import make_cases
from ctpdeploy.cli.terminal import print_table
from ctpdeploy.cli.train import train_run
from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.runtime import Pipeline
from ctpdeploy.train import PRESETS

TEST_CASES, TEST_SEED = 8, 3
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


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="ort-cpu")
    parser.add_argument("--work", type=Path, default=Path("campaign"))
    options = parser.parse_args()
    bundle, cases = prepared(options.work)

    def say(number: int, name: str, outcome: Outcome) -> None:
        if outcome.verdict in FAILURES:
            print(f"{number}: {name}: {outcome.verdict}: {outcome.words}", flush=True)

    with Pipeline.open(bundle, options.backend) as pipeline:
        counts = run(pipeline, cases, options.work / "copies", count=options.count, seed=options.seed, on_outcome=say)
    print_table(
        ("mutation", *VERDICTS),
        [(name, *(f"{of_one[verdict] or ''}" for verdict in VERDICTS)) for name, of_one in counts.items()],
    )
    print(f"{options.count} spoiled cases on {options.backend}: {failures(counts)} failed.")
    sys.exit(1 if failures(counts) else 0)


if __name__ == "__main__":
    main()
