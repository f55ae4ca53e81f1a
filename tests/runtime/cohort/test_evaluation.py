"""Scores of cases and their averages: gaps are counted, groups are by size, both methods stand side by side."""

import csv
import dataclasses
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.nifti_cases import only_case
from support.predictions import predicted

from ctpdeploy.errors import BatchError, InputError, UsageError
from ctpdeploy.runtime import Case, CaseRef, Prediction, find_cases
from ctpdeploy.runtime.cohort.evaluation import (
    GROUPS,
    METRICS,
    SUMMARY,
    CaseScore,
    as_csv,
    as_json,
    evaluate_cases,
    score_case,
    summarise,
)
from ctpdeploy.runtime.metrics.image_quality import image_quality
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.metrics.surface_distance import surface_distance
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi

CONFIG = PreprocessConfig(slice_shape=(64, 64))
MASK = ("dice", "precision", "recall", "rve", "hd_mm", "hd_or_diagonal_mm", "assd_mm")
IMAGE = ("global_ssim", "local_ssim", "global_psnr", "local_psnr")
NAMES = MASK + IMAGE


def scored(case: str = "case_1", volume: float = 5.0, **figures: float) -> CaseScore:
    """A score whose figures are 0.5 but for those given, of the networks."""
    everything = {"volume_ml": 1.0} | dict.fromkeys(NAMES, 0.5)
    rule = dict.fromkeys(("volume_ml", *MASK), 0.25)
    return CaseScore(case=case, true_volume_ml=volume, networks=everything | figures, threshold_rule=rule)


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
    quality = image_quality(image, scale_dwi(dwi, CONFIG), lesion)
    for method, found in (("networks", mask), ("threshold_rule", threshold_rule(phantom_case))):
        figures = vars(agreement(found, lesion, voxel)) | vars(surface_distance(found, lesion, spacing))
        assert score.true_volume_ml == pytest.approx(figures.pop("true_volume_ml"))
        expected = figures | (vars(quality) if method == "networks" else {})
        assert getattr(score, method) == pytest.approx(expected)
        assert all(math.isfinite(value) for value in expected.values())
    assert score.case == "case_1"


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


def test_means_and_standard_deviations_leave_gaps_out_and_count_them():
    scores = [
        scored("a", dice=0.2, hd_mm=10.0, rve=math.nan),
        scored("b", dice=0.4, hd_mm=math.nan, rve=math.nan),
        scored("c", dice=0.9, hd_mm=13.0, rve=math.nan),
    ]
    summary = summarise(scores)
    assert summary["cases"] == 3
    deviation = math.sqrt(((0.5 - 0.2) ** 2 + (0.5 - 0.4) ** 2 + (0.5 - 0.9) ** 2) / 3)
    assert summary["networks"]["dice"] == pytest.approx({"mean": 0.5, "std": deviation, "n": 3, "undefined": 0})
    assert summary["networks"]["hd_mm"] == pytest.approx({"mean": 11.5, "std": 1.5, "n": 2, "undefined": 1})
    assert summary["networks"]["rve"] == {"mean": None, "std": None, "n": 0, "undefined": 3}
    assert summary["threshold_rule"]["dice"] == {"mean": 0.25, "std": 0.0, "n": 3, "undefined": 0}
    assert set(summary["networks"]) == set(NAMES)
    assert set(summary["threshold_rule"]) == set(MASK)
    json.dumps(summary, allow_nan=False)


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


def test_groups_are_summaries_of_their_own_cases():
    scores = [scored("a", 3.0, dice=0.1), scored("b", 4.0, dice=0.3), scored("c", 60.0, dice=0.9, rve=math.nan)]
    groups = summarise(scores)["groups"]
    assert tuple(groups) == GROUPS
    assert [groups[name]["cases"] for name in GROUPS] == [2, 0, 1]
    assert groups["small"]["networks"]["dice"] == pytest.approx({"mean": 0.2, "std": 0.1, "n": 2, "undefined": 0})
    assert groups["medium"]["networks"]["dice"]["mean"] is None
    assert groups["large"]["networks"]["rve"] == {"mean": None, "std": None, "n": 0, "undefined": 1}
    assert groups["large"]["threshold_rule"]["dice"]["mean"] == 0.25


def test_csv_has_a_line_for_each_case_and_method():
    scores = [scored("a", 3.0, dice=0.125, hd_mm=math.nan), scored("b", 60.0)]
    rows = list(csv.DictReader(io.StringIO(as_csv(scores))))
    assert [(row["case"], row["method"]) for row in rows] == [
        ("a", "networks"),
        ("a", "threshold_rule"),
        ("b", "networks"),
        ("b", "threshold_rule"),
    ]
    assert list(rows[0]) == ["case", "method", "group", "true_volume_ml", "volume_ml", *NAMES]
    assert (rows[0]["dice"], rows[0]["hd_mm"], rows[0]["group"], rows[0]["true_volume_ml"]) == (
        "0.125",
        "",
        "small",
        "3",
    )
    assert rows[1]["global_ssim"] == ""  # the rule makes no image
    assert rows[2]["group"] == "large"


def test_json_has_an_object_for_each_case():
    first, second = json.loads(as_json([scored("a", 3.0, hd_mm=math.nan), scored("b", 60.0, dice=1 / 3)]))
    assert first["networks"]["hd_mm"] is None
    assert (first["case"], first["group"], first["true_volume_ml"]) == ("a", "small", 3.0)
    assert second["networks"]["dice"] == 1 / 3
    assert set(second["networks"]) == {"volume_ml", *NAMES}
    assert set(second["threshold_rule"]) == {"volume_ml", *MASK}


class Miss:
    """Stands for a pipeline: finds nothing."""

    config, perfusion = CONFIG, None

    def predict(self, case: Case) -> Prediction:
        return predicted(np.zeros(case.series.shape[1:], dtype=bool))


def test_folders_are_evaluated_into_three_files(phantom_folder: Path, tmp_path: Path):
    told = []
    (tmp_path / SUMMARY).write_text("an earlier one")
    (tmp_path / "notes.txt").write_text("the user's")
    cases = find_cases(phantom_folder)[:3]
    summary = evaluate_cases(Miss(), cases, tmp_path, on_case=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "scores.csv", "scores.json", SUMMARY]
    assert json.loads((tmp_path / SUMMARY).read_text()) == summary
    assert summary["cases"] == 3
    assert summary["networks"]["recall"]["mean"] == 0.0
    assert "Research use" in summary["intended_use"]


@pytest.fixture
def unlabelled(phantom_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "case_9"
    shutil.copytree(phantom_folder / "case_1", folder)
    shutil.rmtree(next(folder.glob("*OT*")))
    return folder


def test_a_case_that_fails_costs_no_other_its_scores(phantom_folder: Path, unlabelled: Path, tmp_path: Path):
    cases = [only_case(phantom_folder / "case_1"), only_case(unlabelled), only_case(phantom_folder / "case_2")]
    told = []
    summary = evaluate_cases(Miss(), cases, tmp_path / "out", on_case=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert summary["cases"] == 2
    assert list(summary["refused"]) == ["case_9"]
    assert "case_9 has no lesion mask" in summary["refused"]["case_9"]
    alone = evaluate_cases(Miss(), [cases[0], cases[2]], tmp_path / "alone")
    assert alone == summary | {"refused": {}}
    for name in ("scores.csv", "scores.json"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "alone" / name).read_text()


def test_cases_that_all_fail_leave_no_scores(unlabelled: Path, tmp_path: Path):
    case = only_case(unlabelled)
    with pytest.raises(InputError, match="case_9 has no lesion mask"):
        evaluate_cases(Miss(), [case], tmp_path / "out")
    with pytest.raises(BatchError, match=r"All 2 cases failed .* case_9 has no lesion mask"):
        evaluate_cases(Miss(), [case, replace(case, name="case_8")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_evaluation_that_is_interrupted_is_not_complete(
    phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An earlier summary is never beside new scores."""
    cases = find_cases(phantom_folder)[:1]
    evaluate_cases(Miss(), cases, tmp_path)
    replaced = []

    def replace_until(path: Path, target: Path) -> Path:
        if len(replaced) == 1:
            raise KeyboardInterrupt
        replaced.append(target.name)
        return as_ever(path, target)

    as_ever = Path.replace
    monkeypatch.setattr(Path, "replace", replace_until)
    with pytest.raises(KeyboardInterrupt):
        evaluate_cases(Miss(), cases, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.csv", "scores.json"]


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_case(tmp_path: Path):
    (tmp_path / "file").touch()
    case = CaseRef(name="a", layout="", folder=tmp_path, files={}, reader=lambda _: pytest.fail("read"))
    with pytest.raises(UsageError, match="cannot be written"):
        evaluate_cases(Miss(), [case], tmp_path / "file")
