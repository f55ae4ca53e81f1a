"""Cases read from small studies, whose maps are numbers and take no time."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.dicom_images import head_series

from ctpdeploy.phantom.dicom import write_study
from ctpdeploy.runtime import Case, find_cases
from ctpdeploy.runtime.data.case import MAP_NAMES

AFFINE = np.array([[-9.0, 0, 0, 108], [0, -9.0, 0, 90], [0, 0, 6.0, -20], [0, 0, 0, 1]])


@pytest.fixture(autouse=True)
def given_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    from ctpdeploy.runtime.perfusion import maps

    def computed(series: np.ndarray, *_: Any) -> SimpleNamespace:
        rng = np.random.default_rng(1)
        volumes = {name: rng.uniform(0, 9, series.shape[1:]).astype(np.float32) for name in MAP_NAMES}
        return SimpleNamespace(maps=volumes, findings=())

    monkeypatch.setattr(maps, "perfusion_maps", computed)


@pytest.fixture
def read_layout(tmp_path: Path) -> Callable[..., Case]:
    """A study of a layout, read."""

    def read(layout: str, affine: np.ndarray = AFFINE, series: np.ndarray | None = None) -> Case:
        series = head_series() if series is None else series
        write_study(tmp_path / "study", series, 2.0 * np.arange(len(series)), affine, layout, junk=False)
        return find_cases(tmp_path / "study")[0].read()

    return read


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Stands for an overview."""
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "overview.png")
    return tmp_path / "overview.png"
