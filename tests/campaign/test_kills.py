"""A few kills; many are a command (``make campaign``)."""

from pathlib import Path

import pytest

from campaign.kills import FAILURES, run_kills
from ctpdeploy.runtime import find_cases


@pytest.mark.slow
def test_a_killed_run_leaves_whole_results_and_is_taken_up_again(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    counts = run_kills(
        bundle_folder,
        find_cases(phantom_folder),
        tmp_path / "work",
        count=2,
        seed=1,
        on_outcome=lambda *words: said.append(" ".join(map(str, words))),
    )
    assert not set(counts) & set(FAILURES), said
    assert sum(counts.values()) == 3
    assert not (tmp_path / "work").exists()
