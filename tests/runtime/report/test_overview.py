"""The overview of a case, whatever its name is and whatever is installed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.predictions import predicted

from ctpdeploy.runtime import Case, Prediction
from ctpdeploy.runtime.data.case import IntervalSource
from ctpdeploy.runtime.data.finding import Finding, by_severity, finding
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.data.prediction import Component
from ctpdeploy.runtime.data.slices import PerfusionWindow
from ctpdeploy.runtime.report.canvas import Canvas
from ctpdeploy.runtime.report.colours import Scale, colour_table
from ctpdeploy.runtime.report.overview import write_overview


@pytest.fixture
def prediction(phantom_case: Case) -> Prediction:
    """A square lesion."""
    mask = np.zeros(phantom_case.series.shape[1:], dtype=bool)
    mask[:, 20:30, 40:50] = True
    frames = tuple(range(4, 14, 2))
    outputs = replace(
        predicted(mask).outputs,
        window=PerfusionWindow(start=4, end=12, spans=tuple((t, t + 1) for t in frames), curve=np.arange(20.0)),
        seconds={"networks": 0.0},
    )
    return Prediction(outputs=outputs, components=(), volume_ml=1.0, threshold=0.5)


def overview(path: Path, case: Case, prediction: Prediction) -> NDArray[np.uint8]:
    write_overview(path / "overview.png", case, prediction)
    return np.asarray(Image.open(path / "overview.png"))


NAMES = ["case_1", "Müller µ² ≤ ±é", "x" * 255, "a\nb\x1b[31m\udcff", ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_line(tmp_path: Path, phantom_case: Case, prediction: Prediction, name: str):
    plain = overview(tmp_path, replace(phantom_case, identifier=""), prediction)
    found = overview(tmp_path, replace(phantom_case, identifier=name), prediction)
    rows, columns = np.nonzero((found != plain).any(axis=2))
    assert bool(len(rows)) == bool(name)
    if name:
        assert 5 < rows.min() < rows.max() < 38
        assert columns.max() < 0.75 * plain.shape[1]  # on the right stands that it is for research


def findings(serious: int, caution: int) -> tuple[Finding, ...]:
    """Cautions come first, as those of the perfusion window did when they hid that maps were swapped."""
    return by_severity(
        (
            *(finding("window-start", f"Caution {i}: the window starts at the first frame.") for i in range(caution)),
            *(finding("maps-contradict", f"Serious {i}: " + "are the maps swapped? " * 12) for i in range(serious)),
        )
    )


@pytest.mark.parametrize(("serious", "caution", "more"), [(0, 0, 0), (1, 2, 0), (1, 5, 3), (3, 2, 2), (9, 1, 1)])
def test_every_serious_finding_stands_on_the_page(
    tmp_path: Path,
    phantom_case: Case,
    prediction: Prediction,
    monkeypatch: pytest.MonkeyPatch,
    serious: int,
    caution: int,
    more: int,
):
    written: list[tuple[str, float]] = []

    def write(canvas: Canvas, text: str, x: float, y: float, **style: Any) -> None:
        written.append((text, y))
        draw(canvas, text, x, y, **style)

    draw = Canvas.write
    monkeypatch.setattr(Canvas, "write", write)
    page = overview(tmp_path, phantom_case, replace(prediction, findings=findings(serious, caution)))
    text = " ".join(part.strip() for part, _ in written)
    for i in range(serious):
        assert f"!! Serious {i}: " + ("are the maps swapped? " * 12).strip() in text
    assert (f"and {more} more, in report.json" in text) == bool(more)
    assert text.count("! Caution") == caution - more
    assert max(y for _, y in written) < len(page)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written on pages from now on."""
    written: list[str] = []

    def write(canvas: Canvas, text: str, x: float, y: float, **style: Any) -> None:
        written.append(text)
        draw(canvas, text, x, y, **style)

    draw = Canvas.write
    monkeypatch.setattr(Canvas, "write", write)
    return written


@pytest.mark.parametrize("source", get_args(IntervalSource))
def test_the_interval_and_what_stated_it_stand_on_the_page(
    tmp_path: Path, phantom_case: Case, prediction: Prediction, words: list[str], source: IntervalSource
):
    case = replace(phantom_case, times=1.25 * np.arange(20.0), interval_source=source)
    overview(tmp_path, case, prediction)
    (line,) = [text for text in words if text.startswith("20 frames, one every 1.25 s (")]
    assert line.endswith(")")


@pytest.mark.parametrize("stated", [True, False])
def test_sides_are_named_where_they_are_stated(
    tmp_path: Path, phantom_case: Case, prediction: Prediction, words: list[str], stated: bool
):
    case = replace(phantom_case, geometry=replace(phantom_case.geometry, sides_stated=stated))
    side: Literal["left"] | None = "left" if stated else None
    piece = Component(volume_ml=3.0, centroid=(1.0, 2.0, 3.0), side=side)
    overview(tmp_path, case, replace(prediction, components=(piece,)))
    assert ("R" in words, "L" in words) == (stated, stated)
    assert any("left and right" in text for text in words) == stated
    assert ("    3.0 ml, left side, about slice 2" if stated else "    3.0 ml, about slice 2") in words


@pytest.mark.parametrize("scale", get_args(Scale))
def test_scales_run_through_their_colours(tmp_path: Path, phantom_case: Case, prediction: Prediction, scale: Scale):
    row = overview(tmp_path, phantom_case, prediction)[-248]  # through the scales, each half as long as its table
    assert len({*map(tuple, row.tolist())} & {*map(tuple, colour_table(scale).tolist())}) > 100


def test_it_is_drawn_where_matplotlib_is_not_installed(
    tmp_path: Path, phantom_case: Case, prediction: Prediction, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert overview(tmp_path, phantom_case, prediction).any()


def test_who_does_not_draw_does_not_load_what_draws():
    code = "import json, sys, ctpdeploy.runtime.report.overview; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(result.stdout))
    assert "ctpdeploy.runtime.report.canvas" in loaded
    assert not {"PIL.ImageDraw", "PIL.ImageFont", "contourpy", "matplotlib"} & loaded


def test_what_the_networks_were_trained_on_and_reached_stands_on_the_page(
    tmp_path: Path, phantom_case: Case, prediction: Prediction, words: list[str]
):
    card = ModelCard(kind="phantom", validation_dice=0.531, cases={"validation": 6})
    write_overview(tmp_path / "a.png", phantom_case, replace(prediction, card=card, threshold=0.35))
    assert "Networks trained on synthetic patients. Research use only, not for clinical use." in words
    assert "lesion above a probability of 0.35; validation Dice 0.53 of 6 cases" in " ".join(map(str.strip, words))
    words.clear()
    write_overview(tmp_path / "a.png", phantom_case, prediction)
    assert "Research use only, not for clinical use." in words
    assert not any("synthetic" in text for text in words)
