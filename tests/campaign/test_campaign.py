"""A small campaign with the tests' own bundle; the large one is a command (``make campaign``)."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from campaign.campaign import failures, run
from campaign.judge import Outcome
from campaign.mutations import MUTATIONS
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Pipeline

SIZE = 128


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("campaign")
    return write_dataset(folder, cases=3, seed=3, config=PhantomConfig(size=SIZE, slices=2))


@pytest.mark.parametrize("part", range(4))
def test_no_spoiled_case_gives_another_mask_unsaid(
    bundle_folder: Path, cases: list[Path], tmp_path: Path, part: int
) -> None:
    said: list[str] = []

    def keep(number: int, name: str, outcome: Outcome) -> None:
        said.append(f"{number}: {name}: {outcome.verdict}: {outcome.words}")

    with Pipeline.open(bundle_folder, "ort-cpu") as pipeline:
        counts = run(pipeline, cases, tmp_path, count=len(MUTATIONS), seed=part, on_outcome=keep)
    assert failures(counts) == 0, "\n".join(line for line in said if any(word.isupper() for word in line.split(": ")))
    assert list(tmp_path.iterdir()) == []


def test_verdicts_are_counted() -> None:
    counts = {"one": Counter({"same": 3, "SILENT": 2}), "two": Counter({"CRASHED": 1, "refused": 4})}
    assert failures(counts) == 3
    assert np.sum([sum(of_one.values()) for of_one in counts.values()]) == 10
