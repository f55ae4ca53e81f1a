"""Validation: each score is that of its module on the networks' grid; what is undefined is left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime import find_cases
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.dataset import LabelledCase, read_labelled
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.torch_engine import TorchEngine
from ctpdeploy.train.validation import Validation, validate

LEVEL = PreprocessConfig.threshold


@pytest.fixture
def learner(config: TrainConfig) -> Learner:
    return Learner(replace(config, lesion_prior=0.4), torch.device("cpu"))


@pytest.fixture
def cases(data: Path, config: TrainConfig) -> list[LabelledCase]:
    return [read_labelled(case, config) for case in find_cases(data)[:2]]


def test_each_score_is_a_mean_over_cases(learner: Learner, cases: list[LabelledCase]) -> None:
    found = validate(learner.chain, cases, SYSTEMS["dwi_olh"], ("segmenter",))
    probabilities = [TorchEngine(learner.chain).run(case.inputs).probability for case in cases]
    pairs = [(probability, case.lesion) for probability, case in zip(probabilities, cases, strict=True)]
    ap = [average_precision_score(lesion.ravel(), probability.ravel()) for probability, lesion in pairs]
    voxel_ml = 6.0 * 6.0 * 5.0 / 1000
    assert [case.voxel_ml for case in cases] == pytest.approx([voxel_ml] * 2)
    volumes = [voxel_ml * abs(int((p > LEVEL).sum()) - int(lesion.sum())) for p, lesion in pairs]
    dice = [2 * ((p > LEVEL) & of).sum() / ((p > LEVEL).sum() + of.sum()) for p, of in pairs]
    assert found.ap == pytest.approx(np.mean(ap))
    assert found.abs_dv_ml == pytest.approx(np.mean(volumes))
    assert found.dice == pytest.approx(np.mean(dice))
    assert found.score == found.dice
    assert len(set(ap)) == 2
    assert max(volumes) > 0


def test_a_finer_grid_has_smaller_voxels(data: Path, config: TrainConfig) -> None:
    case = find_cases(data)[0]
    coarse = read_labelled(case, config)
    fine = read_labelled(case, replace(config, preprocess=replace(config.preprocess, slice_shape=(64, 64))))
    assert fine.voxel_ml == pytest.approx(coarse.voxel_ml / 4)
    assert fine.lesion.sum() * fine.voxel_ml == pytest.approx(coarse.lesion.sum() * coarse.voxel_ml, rel=0.1)


def test_a_case_without_lesion_has_no_average_precision(learner: Learner, cases: list[LabelledCase]) -> None:
    healthy = replace(cases[0], lesion=np.zeros_like(cases[0].lesion))
    both = validate(learner.chain, [healthy, cases[1]], SYSTEMS["dwi_olh"], ("segmenter",))
    alone = validate(learner.chain, [cases[1]], SYSTEMS["dwi_olh"], ("segmenter",))
    assert both.ap == alone.ap
    assert both.dice != alone.dice
    nobody = validate(learner.chain, [healthy], SYSTEMS["dwi_olh"], ("segmenter",))
    assert nobody.ap is None
    assert nobody.dice is not None


def test_networks_that_draw_no_lesion_have_a_loss_alone(learner: Learner, cases: list[LabelledCase]) -> None:
    found = validate(learner.chain, cases, SYSTEMS["dwi_olh"], ("extractor", "generator"))
    assert (found.dice, found.ap, found.abs_dv_ml) == (None, None, None)
    assert found.loss is not None
    assert found.score == -found.loss
    assert Validation(loss=0.2).score > Validation(loss=0.3).score


def test_every_epoch_writes_them_down(finished: Path) -> None:
    for line in map(json.loads, (finished / "metrics.jsonl").read_text().splitlines()):
        assert 0 <= line["validation_ap"] <= 1
        assert line["validation_abs_dv_ml"] >= 0
        assert "validation_loss" not in line
