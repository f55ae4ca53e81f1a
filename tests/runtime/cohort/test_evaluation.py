"""Evaluation of cases: one refused stops no other, and its files are whole or not there."""

import csv
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
from support.scores import IMAGE, MASK, scored

from ctpdeploy.errors import BatchError, InputError, UsageError
from ctpdeploy.runtime import Case, CaseRef, Prediction, find_cases
from ctpdeploy.runtime.cohort.evaluation import SUMMARY, as_csv, as_json, evaluate_cases
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

CONFIG = PreprocessConfig(slice_shape=(64, 64))
NAMES = (*MASK, "ap", *IMAGE)


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
