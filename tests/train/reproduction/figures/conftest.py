"""Reproductions whose networks have learnt nothing: figures ask where things stand, not how good they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from support.predictions import predicted

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime import Case, read_case
from ctpdeploy.runtime.cohort.case_score import METRICS, CaseScore
from ctpdeploy.runtime.cohort.evaluation import SUMMARY, as_json
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks.checkpoint import save_networks
from ctpdeploy.train.reproduction.figures.figure_cases import ShownCase
from ctpdeploy.train.run_folder import RunFolder, RunState
from ctpdeploy.train.split import Split

VOLUMES = {"case_2": 4.0, "case_3": 20.0, "case_4": 80.0}
"""What the reproductions here say of their test cases; a test of each size."""


def make_score(case: str, volume: float, *, dice: float = 0.5, rve: float = 0.4) -> CaseScore:
    figures = dict.fromkeys(METRICS["networks"], 0.1) | {"volume_ml": volume, "dice": dice, "rve": rve}
    return CaseScore(case=case, true_volume_ml=volume, networks=figures, threshold_rule=figures)


def write_run(folder: Path, config: TrainConfig, scores: Sequence[CaseScore]) -> None:
    """A run as training and evaluation leave it, with weights as they are drawn."""
    torch.manual_seed(0)
    run = RunFolder(folder)
    run.begin(config, Split(train=("case_1",), validation=(), test=tuple(VOLUMES)), "")
    chain = make_chain(SYSTEMS[config.system], config)
    run.save("best", RunState(), lambda path: save_networks(path, dict(chain.named_children()), chain.wiring))
    evaluation = folder / "evaluation"
    evaluation.mkdir()
    (evaluation / "scores.json").write_text(as_json(scores))
    (evaluation / SUMMARY).write_text("{}")


@pytest.fixture
def make_reproduction(tmp_path: Path, config: TrainConfig) -> Callable[..., Path]:
    """Writes a reproduction in which these systems are trained, with these volumes of the test cases."""

    def write(*systems: str, volumes: Mapping[str, float] = VOLUMES, seed: int = 0) -> Path:
        for system in systems:
            scores = [make_score(case, volume) for case, volume in volumes.items()]
            write_run(tmp_path / "reproduction" / system / f"seed-{seed}", replace(config, system=system), scores)
        return tmp_path / "reproduction"

    return write


@pytest.fixture
def case(data: Path) -> Case:
    """Lesion in slice 0 is smaller than in slice 1."""
    read = read_case(data / "case_1")
    lesion = read.lesion.copy()
    lesion[0, :, : lesion.shape[2] // 2] = False
    lesion[1, 14:18, 20:24] = True
    return replace(read, lesion=lesion)


@pytest.fixture
def show(case: Case) -> Callable[..., ShownCase]:
    """What systems made of the case: each found the corner of its number, those with synthesis a DWI too."""

    def make(*systems: str, of: Case = case, seen_by: Sequence[str] = ()) -> ShownCase:
        found = {}
        for number, system in enumerate(systems, start=1):
            mask = np.zeros(of.lesion.shape, dtype=bool)
            mask[:, : 2 * number, : 2 * number] = True
            image = np.full(mask.shape, number / 10, np.float32) if SYSTEMS[system].synthesis else None
            found[system] = predicted(mask, image)
        return ShownCase(case=of, lesion=of.lesion, predictions=found, seen_by=frozenset(seen_by))

    return make


@pytest.fixture
def heading_fits() -> Callable[[Figure], bool]:
    """Whether heading and legend stand side by side, and all texts within the page."""

    def check(figure: Figure) -> bool:
        renderer = figure.canvas.get_renderer()
        heading, *others = (text.get_window_extent(renderer) for text in figure.texts)
        legend = figure.legends[0].get_window_extent(renderer)
        return heading.x1 < legend.x0 and all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in others)

    return check
