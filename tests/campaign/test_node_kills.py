"""A few kills of a node; many are a command (``make campaign``)."""

from pathlib import Path

import pytest

from campaign.node_kills import FAILURES, run_node_kills


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of senders that were cut off
def test_a_killed_node_delivers_every_study_as_infer_makes_it(bundle_folder: Path, tmp_path: Path) -> None:
    verdicts = run_node_kills(bundle_folder, tmp_path / "work", count=4, studies=3, seed=1)
    assert not set(verdicts) & set(FAILURES), (tmp_path / "work" / "log").read_text()
    assert verdicts["well"] == 4
    assert not (tmp_path / "work").exists()
