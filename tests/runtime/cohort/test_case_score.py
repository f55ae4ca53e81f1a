"""Scores of a case: each figure is that of its module, and files give back what was written."""

import dataclasses
import json
import math

import numpy as np
import pytest
from support.predictions import predicted
from support.scores import IMAGE, MASK, scored

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.cohort.case_score import METRICS, CaseScore, brain_of, score_case, score_mask
from ctpdeploy.runtime.metrics.average_precision import average_precision
from ctpdeploy.runtime.metrics.detection import find_pieces
from ctpdeploy.runtime.metrics.image_quality import image_quality
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.metrics.reliability import Reliability
from ctpdeploy.runtime.metrics.surface_distance import surface_distance
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi

CONFIG = PreprocessConfig(slice_shape=(64, 64))
NAMES = (*MASK, "ap", *IMAGE)


def test_the_scores_go_by_the_names_of_the_source():
    assert METRICS["networks"] == NAMES
    assert METRICS["threshold_rule"] == MASK


def test_each_figure_is_that_of_its_module(phantom_case: Case):
    lesion, dwi = phantom_case.lesion, phantom_case.dwi
    assert lesion is not None
    assert dwi is not None
    mask = np.roll(lesion, 3, axis=2)
    image = np.roll(dwi, 3, axis=2)
    score = score_case(phantom_case, predicted(mask, image), CONFIG)
    voxel, spacing = phantom_case.geometry.voxel_ml, phantom_case.geometry.spacing
    brain = brain_of(phantom_case)
    assert 0.1 < brain.mean() < 0.6
    quality = image_quality(image, scale_dwi(dwi, CONFIG), lesion, brain)
    order = {"ap": average_precision(mask.astype(float), lesion, brain | lesion)}
    for method, found in (("networks", mask), ("threshold_rule", threshold_rule(phantom_case))):
        figures = vars(agreement(found, lesion, voxel)) | vars(surface_distance(found, lesion, spacing))
        assert score.true_volume_ml == pytest.approx(figures.pop("true_volume_ml"))
        expected = figures | (vars(quality) | order if method == "networks" else {})
        assert getattr(score, method) == pytest.approx(expected)
        assert all(math.isfinite(value) for value in expected.values())
        assert score.pieces[method] == find_pieces(found, lesion, voxel)
        assert score_mask(found, phantom_case) == pytest.approx(figures)
    assert score.case == "case_1"
    counted = Reliability.of(mask.astype(np.float32), lesion, brain | lesion)
    assert score.reliability is not None
    assert score.reliability.table()[-1] == counted.table()[-1]


def test_no_true_lesion_is_left_out_of_the_order(phantom_case: Case):
    """Not even where it lies outside the brain that the series shows."""
    lesion = ~brain_of(phantom_case)
    lesion[1:] = False
    case = dataclasses.replace(phantom_case, lesion=lesion)
    assert score_case(case, predicted(lesion), CONFIG).networks["ap"] == 1.0
    assert score_case(case, predicted(~lesion), CONFIG).networks["ap"] < 0.9


def test_a_score_comes_back_from_its_file(phantom_case: Case):
    score = score_case(phantom_case, predicted(np.zeros_like(phantom_case.lesion)), CONFIG)
    back = CaseScore.from_json(json.loads(json.dumps(score.to_json(), allow_nan=False)))
    assert back.pieces == score.pieces
    assert back.networks == pytest.approx(dict(score.networks), nan_ok=True)
    assert back.threshold_rule == pytest.approx(dict(score.threshold_rule), nan_ok=True)
    assert (back.case, back.true_volume_ml, back.group) == (score.case, score.true_volume_ml, score.group)
    earlier = {key: value for key, value in scored("a").to_json().items() if key != "pieces"}
    assert CaseScore.from_json(earlier).pieces == {}
    with pytest.raises(LookupError):
        CaseScore.from_json({"case": "a"})


def test_the_dwi_is_scaled_as_the_configuration_says(phantom_case: Case):
    mask = np.zeros_like(phantom_case.lesion)
    other = dataclasses.replace(CONFIG, dwi_percentile=80.0)
    image = scale_dwi(phantom_case.dwi, other)
    assert math.isnan(score_case(phantom_case, predicted(mask, image), other).networks["global_psnr"])  # no error
    assert score_case(phantom_case, predicted(mask, image), CONFIG).networks["global_psnr"] < 40


def test_where_the_dwi_is_clipped_so_is_the_image(phantom_case: Case):
    mask, clipped = np.zeros_like(phantom_case.lesion), dataclasses.replace(CONFIG, dwi_clipped=True)
    image = scale_dwi(phantom_case.dwi, CONFIG)
    assert image.max() > 1
    assert math.isnan(score_case(phantom_case, predicted(mask, image), clipped).networks["global_psnr"])  # no error


@pytest.mark.parametrize("lacks", ["the case", "the prediction"])
def test_without_an_image_there_is_no_image_quality(phantom_case: Case, lacks: str):
    image = None if lacks == "the prediction" else phantom_case.dwi
    case = dataclasses.replace(phantom_case, dwi=None) if lacks == "the case" else phantom_case
    score = score_case(case, predicted(phantom_case.lesion, image), CONFIG)
    assert all(math.isnan(score.networks[name]) for name in IMAGE)
    assert score.networks["dice"] == 1.0
    assert score.networks["hd_mm"] == 0.0


def test_ssim_can_be_left_out(phantom_case: Case):
    prediction = predicted(phantom_case.lesion, np.zeros_like(phantom_case.dwi))
    without = score_case(phantom_case, prediction, CONFIG, ssim=False).networks
    with_ssim = score_case(phantom_case, prediction, CONFIG).networks
    assert math.isnan(without["global_ssim"])
    assert math.isnan(without["local_ssim"])
    rest = [name for name in NAMES if "ssim" not in name]
    assert [without[name] for name in rest] == [with_ssim[name] for name in rest]


def test_a_case_without_lesion_mask_is_refused(phantom_case: Case):
    unlabelled = dataclasses.replace(phantom_case, lesion=None)
    with pytest.raises(InputError, match="no lesion mask"):
        score_case(unlabelled, predicted(phantom_case.lesion), CONFIG)
    with pytest.raises(InputError, match="no lesion mask"):
        score_mask(np.zeros_like(phantom_case.lesion), unlabelled)


def test_a_missed_lesion_and_a_healthy_case(phantom_case: Case):
    nothing = np.zeros_like(phantom_case.lesion)
    missed = score_case(phantom_case, predicted(nothing), CONFIG).networks
    assert (missed["dice"], missed["precision"], missed["recall"], missed["rve"]) == (0.0, 0.0, 0.0, 1.0)
    assert math.isnan(missed["hd_mm"])
    assert missed["hd_or_diagonal_mm"] > 60
    healthy = score_case(dataclasses.replace(phantom_case, lesion=nothing), predicted(nothing), CONFIG)
    assert healthy.networks["dice"] == 1.0
    assert math.isnan(healthy.networks["rve"])
    assert math.isnan(healthy.networks["hd_or_diagonal_mm"])
    assert healthy.group == "small"


@pytest.mark.parametrize(
    ("volume", "group"),
    [
        (0.0, "small"),
        (9.999, "small"),
        (10.0, "medium"),
        (10.0 - 1e-12, "medium"),
        (50.0, "medium"),
        (50.0 + 1e-12, "medium"),
        (50.001, "large"),
    ],
)
def test_ten_and_fifty_millilitres_are_medium(volume: float, group: str):
    assert scored(volume=volume).group == group
