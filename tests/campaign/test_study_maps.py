"""A small campaign of a scanner's maps; the large one is a command (``make campaign``)."""

import warnings
from pathlib import Path

import pytest

from campaign.campaign import failures
from campaign.judge import Outcome
from campaign.study_maps import MUTATIONS, run_study_maps, write_map_studies
from ctpdeploy.runtime import Pipeline


@pytest.mark.slow
def test_no_spoiled_map_gives_another_mask_unsaid(bundle_folder: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def keep(number: int, name: str, outcome: Outcome) -> None:
        said.append(f"{number}: {name}: {outcome.verdict}: {outcome.words}")

    with Pipeline.open(bundle_folder, "ort-cpu") as pipeline, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is written wrong here
        studies = write_map_studies(tmp_path / "right")
        counts = run_study_maps(pipeline, studies, tmp_path / "spoiled", count=len(MUTATIONS), seed=0, on_outcome=keep)
    assert failures(counts) == 0, "\n".join(line for line in said if any(word.isupper() for word in line.split(": ")))
