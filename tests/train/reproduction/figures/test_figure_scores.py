"""The evaluated runs that figures show."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.evaluation import SUMMARY
from ctpdeploy.train.reproduction.figures.figure_scores import evaluated_runs

MakeRuns = Callable[..., Path]


def test_runs_are_those_evaluated_with_the_seed_in_the_order_of_the_tables(make_reproduction: MakeRuns):
    reproduction = make_reproduction("dwi_olh", "unet", "cta")
    make_reproduction("fcn", seed=1)
    (reproduction / "cta" / "seed-0" / "evaluation" / SUMMARY).unlink()
    runs = evaluated_runs(reproduction, 0)
    assert list(runs) == ["unet", "dwi_olh"]
    assert runs["unet"].seen == {"case_1"}
    assert [(s.case, s.group, s.networks["dice"]) for s in runs["unet"].scores] == [
        ("case_2", "small", 0.5),
        ("case_3", "medium", 0.5),
        ("case_4", "large", 0.5),
    ]
    assert list(evaluated_runs(reproduction, 1)) == ["fcn"]


def test_what_is_no_study_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"No run of seed 3 in .* is trained and evaluated"):
        evaluated_runs(tmp_path, 3)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("split.json", "{"),
        ("split.json", "{}"),
        ("split.json", "[]"),
        ("evaluation/scores.json", '[{"case": "case_1"}]'),
        ("evaluation/scores.json", "7"),
    ],
)
def test_a_damaged_run_is_refused_by_name(make_reproduction: MakeRuns, file: str, content: str):
    reproduction = make_reproduction("unet")
    (reproduction / "unet" / "seed-0" / file).write_text(content)
    with pytest.raises(InputError, match="unet/seed-0 cannot be read"):
        evaluated_runs(reproduction, 0)


def test_a_run_that_lacks_a_file_is_refused_by_name(make_reproduction: MakeRuns):
    reproduction = make_reproduction("unet")
    (reproduction / "unet" / "seed-0" / "evaluation" / "scores.json").unlink()
    with pytest.raises(InputError, match="unet/seed-0 cannot be read"):
        evaluated_runs(reproduction, 0)


def test_undefined_scores_come_back_as_such(make_reproduction: MakeRuns):
    file = make_reproduction("unet") / "unet" / "seed-0" / "evaluation" / "scores.json"
    written = json.loads(file.read_text())
    written[0]["networks"]["rve"] = None
    file.write_text(json.dumps(written))
    scores = evaluated_runs(file.parents[3], 0)["unet"].scores
    assert [score.networks["rve"] == score.networks["rve"] for score in scores] == [False, True, True]
