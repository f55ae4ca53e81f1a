"""Synthesis that learns first, fades, and a context encoder that comes to nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training import StopError, draw_batch, same, stop_in, tensors

from ctpdeploy.train import LossConfig, TrainConfig, train
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.pace import Pace
from ctpdeploy.train.stages import stages_of


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("dwi_olh", [("extractor + generator", 0, 3), ("extractor + generator + segmenter", 3, 4)]),
        ("dwi_ol", [("generator", 0, 3), ("generator + segmenter", 3, 4)]),
        ("dwi_olh_s", [("extractor", 0, 4), ("generator", 4, 4), ("segmenter", 8, 4)]),
        ("wce_hgd", [("segmenter", 0, 4)]),
    ],
)
def test_only_what_learns_together_has_a_warm_start(system: str, expected: list[tuple[str, int, int]]) -> None:
    stages = stages_of(TrainConfig(system=system, epochs=4, warm_start=3))
    assert [(" + ".join(stage.learns), stage.begin, stage.epochs) for stage in stages] == expected


def test_a_warm_start_resumed_is_as_if_never_stopped(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    settings = replace(config, epochs=1, warm_start=2)
    train(data, tmp_path / "straight", settings)
    for epoch, stage in ((2, "training"), (3, "training")):
        with pytest.raises(StopError):
            train(data, tmp_path / "run", settings, on_progress=stop_in(epoch, stage), resume=epoch > 2)
    train(data, tmp_path / "run", settings, resume=True)
    assert same(*(tensors(tmp_path / run / "checkpoints") for run in ("straight", "run")))
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [("validation_dice" in line, "wce" in line) for line in lines] == [(False, False)] * 2 + [(True, True)]


def test_the_share_weighs_the_synthesis_alone(config: TrainConfig) -> None:
    learner = Learner(replace(config, loss=LossConfig(alpha=2.0, beta=3.0, gamma=0.5, decay=10.0)), torch.device("cpu"))
    terms = learner.step(draw_batch(2), Pace(learning_rate=0.0, synthesis=0.25))
    drawn = terms["pixel"] + 0.5 * terms["context"]
    extracted = terms["extractor_pixel"] + 0.5 * terms["extractor_context"]
    expected = terms["wce"] + terms["hgd"] + 0.25 * (2.0 * drawn + 3.0 * extracted)
    assert terms["total"] == pytest.approx(expected, rel=1e-5)


def test_a_collapse_is_said(data: Path, tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Learner.step

    def fading(self: Learner, batch: object, pace: Pace) -> dict[str, float]:
        return step(self, batch, pace) | {"context_spread": 10 * pace.learning_rate}  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "step", fading)
    optimiser = replace(config.optimiser, drop_after=0.5, drop_factor=0.01)
    for phi_c, said in (("joint", True), ("frozen", False)):
        settings = replace(config, epochs=2, phi_c=phi_c, optimiser=optimiser)
        summary = train(data, tmp_path / phi_c, settings)
        assert any("all images alike" in warning for warning in summary.warnings) is said
