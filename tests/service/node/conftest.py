"""A study for the nodes of these tests."""

from pathlib import Path

import pytest
from support.nodes import images_of
from support.shared import made_once

from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime.dicom.header import read_header
from ctpdeploy.runtime.dicom.tags import Tag


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of ``ctpdeploy phantom --dicom one-series``, 40 images of CT perfusion and what lies beside them."""
    patient = PhantomConfig(size=64, slices=2, frames=20)
    return made_once(
        tmp_path_factory,
        "node_study",
        lambda folder: write_dataset(folder, cases=1, seed=7, config=patient, layout="one-series"),
    )


@pytest.fixture(scope="session")
def images(study_folder: Path) -> list[Path]:
    return images_of(study_folder)


@pytest.fixture(scope="session")
def scan(images: list[Path]) -> list[Path]:
    """Of them the 40 of CT perfusion, a phase of two slices after the other."""
    headers = {path: read_header(path) for path in images}
    return [path for path, one in headers.items() if one and one.text(Tag.SERIES_DESCRIPTION) == "PHANTOM CT PERFUSION"]
