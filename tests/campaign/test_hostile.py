"""A few hostile senders; many are a command (``make campaign``)."""

from pathlib import Path

import pytest

from campaign.hostile import run_hostile


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of senders that were cut off
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what is spoiled here
def test_hostile_senders_cost_nothing(bundle_folder: Path, tmp_path: Path) -> None:
    toll = run_hostile(bundle_folder, tmp_path / "work", count=60, seed=1)
    assert not toll.faults(), (toll, (tmp_path / "work" / "log").read_text()[-5000:])
    assert toll.studies["done"] == 3
    assert toll.attacks.total() == 60
