"""Scores of runs: of one split, of folds joined, of runs that are not done."""

import json
from pathlib import Path

import pytest
from support.scores import scored

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.evaluation import SCORES, SUMMARY, as_json
from ctpdeploy.train.reproduction.run_scores import EVALUATION, fold_folders, read_scores, read_summary


def write(run: Path, *cases: str, **summary: object) -> None:
    folder = run / EVALUATION
    folder.mkdir(parents=True)
    (folder / SCORES).write_text(as_json([scored(case) for case in cases]))
    (folder / SUMMARY).write_text(json.dumps(summary))


def test_scores_of_one_run(tmp_path: Path):
    assert read_scores(tmp_path, 0) is None
    write(tmp_path, "a", "b")
    scores = read_scores(tmp_path, 0)
    assert scores is not None
    assert [score.case for score in scores] == ["a", "b"]
    assert scores[0].networks["dice"] == 0.5


def test_folds_are_joined_when_all_are_done(tmp_path: Path):
    first, second = fold_folders(tmp_path, 2)
    write(first, "a", "c")
    assert read_scores(tmp_path, 2) is None
    write(second, "b")
    scores = read_scores(tmp_path, 2)
    assert scores is not None
    assert [score.case for score in scores] == ["a", "c", "b"]


def test_a_row_is_of_all_cases_or_of_none(tmp_path: Path):
    write(tmp_path, "a", refused={"b": "no lesion"})
    assert read_summary(tmp_path) is None
    assert read_scores(tmp_path, 0) is None


@pytest.mark.parametrize("content", ["[{", '[{"case": "a"}]', "7", "[7]"])
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str):
    write(tmp_path, "a")
    (tmp_path / EVALUATION / SCORES).write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path, 0)
