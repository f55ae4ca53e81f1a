"""Which runs and which cases are shown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.nifti_cases import only_case

from ctpdeploy.errors import InputError, UnknownKeyError
from ctpdeploy.runtime.cohort.evaluation import METRICS, SUMMARY, CaseScore
from ctpdeploy.runtime.io.case_ref import CaseRef, by_name
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train.reproduction.figures.figure_scores import evaluated_runs
from ctpdeploy.train.reproduction.figures.selection import choose_cases

MakeRuns = Callable[..., Path]


def score(case: str, volume: float) -> CaseScore:
    figures = dict.fromkeys(METRICS["networks"], 0.1)
    return CaseScore(case=case, true_volume_ml=volume, networks=figures, threshold_rule=figures)


@pytest.fixture(scope="module")
def cases(data: Path) -> dict[str, CaseRef]:
    return by_name(find_cases(data))


def test_by_default_the_median_of_each_size_is_shown(cases: dict[str, CaseRef]):
    scores = [score("case_4", 9), score("case_1", 60), score("case_2", 1), score("case_3", 5), score("case_9", 5.5)]
    assert choose_cases(cases, scores) == ("case_3", "case_1")


def test_a_case_without_a_lesion_is_not_chosen(cases: dict[str, CaseRef]):
    assert choose_cases(cases, [score("case_1", 0), score("case_2", 3)]) == ("case_2",)


def test_cases_named_are_shown_in_that_order_once(cases: dict[str, CaseRef]):
    assert choose_cases(cases, [], ["case_3", "case_1", "case_3"]) == ("case_3", "case_1")


def test_an_unknown_case_is_refused(cases: dict[str, CaseRef]):
    with pytest.raises(UnknownKeyError, match="'case_11' in the cases of the data: did you mean 'case_1'"):
        choose_cases(cases, [], ["case_11"])


def test_none_tested_among_the_data_is_refused(cases: dict[str, CaseRef]):
    with pytest.raises(InputError, match="with --cases"):
        choose_cases(cases, [score("case_9", 3)])


def test_a_named_case_without_a_lesion_mask_is_refused(incomplete_case: Callable[[str], Path]):
    case = only_case(incomplete_case("OT"))
    with pytest.raises(InputError, match=r"None of the 1 cases has a lesion \(OT\), and figures compare with one"):
        choose_cases({"case_9": case}, [], ["case_9"])
    with pytest.raises(InputError, match="name the cases to show"):
        choose_cases({"case_9": case}, [score("case_9", 3)])


def test_a_case_without_a_dwi_is_refused_only_if_a_system_sees_it(incomplete_case: Callable[[str], Path]):
    cases = {"case_9": only_case(incomplete_case("MR_DWI"))}
    assert choose_cases(cases, [score("case_9", 3)]) == choose_cases(cases, [], ["case_9"]) == ("case_9",)
    with pytest.raises(InputError, match=r"DWI \(MR_DWI\), and a system of the study sees it: name other cases"):
        choose_cases(cases, [], ["case_9"], need_dwi=True)
    with pytest.raises(InputError, match="name the cases to show"):
        choose_cases(cases, [score("case_9", 3)], need_dwi=True)


def test_runs_are_those_evaluated_with_the_seed_in_the_order_of_the_tables(make_study: MakeRuns):
    study = make_study("dwi_olh", "unet", "cta")
    make_study("fcn", seed=1)
    (study / "cta" / "seed-0" / "evaluation" / SUMMARY).unlink()
    runs = evaluated_runs(study, 0)
    assert list(runs) == ["unet", "dwi_olh"]
    assert runs["unet"].seen == {"case_1"}
    assert [(s.case, s.group, s.networks["dice"]) for s in runs["unet"].scores] == [
        ("case_2", "small", 0.5),
        ("case_3", "medium", 0.5),
        ("case_4", "large", 0.5),
    ]
    assert list(evaluated_runs(study, 1)) == ["fcn"]


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
def test_a_damaged_run_is_refused_by_name(make_study: MakeRuns, file: str, content: str):
    study = make_study("unet")
    (study / "unet" / "seed-0" / file).write_text(content)
    with pytest.raises(InputError, match="unet/seed-0 cannot be read"):
        evaluated_runs(study, 0)


def test_a_run_that_lacks_a_file_is_refused_by_name(make_study: MakeRuns):
    study = make_study("unet")
    (study / "unet" / "seed-0" / "evaluation" / "scores.json").unlink()
    with pytest.raises(InputError, match="unet/seed-0 cannot be read"):
        evaluated_runs(study, 0)


def test_undefined_scores_come_back_as_such(make_study: MakeRuns):
    file = make_study("unet") / "unet" / "seed-0" / "evaluation" / "scores.json"
    written = json.loads(file.read_text())
    written[0]["networks"]["rve"] = None
    file.write_text(json.dumps(written))
    scores = evaluated_runs(file.parents[3], 0)["unet"].scores
    assert [score.networks["rve"] == score.networks["rve"] for score in scores] == [False, True, True]
