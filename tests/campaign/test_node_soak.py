"""A short soak of a node; a long one is a command (``make campaign``)."""

from pathlib import Path

import pytest

from campaign.node_soak import soak_node
from campaign.soak import Reading


@pytest.mark.slow
def test_studies_go_through_a_node(bundle_folder: Path, tmp_path: Path) -> None:
    told: list[Reading] = []
    readings, disk = soak_node(bundle_folder, tmp_path / "work", count=4, seed=1, every=2, on_reading=told.append)
    assert readings == told
    assert [one.cases for one in readings] == [2, 4]
    assert disk[0] > 0
    assert not (tmp_path / "work").exists()
