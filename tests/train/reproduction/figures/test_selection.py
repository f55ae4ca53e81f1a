"""Which runs and which cases are shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.nifti_cases import only_case
from support.scores import score

from ctpdeploy.errors import InputError, UnknownKeyError
from ctpdeploy.runtime.io.case_ref import CaseRef, by_name
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train.reproduction.figures.selection import choose_cases


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
    with pytest.raises(InputError, match=r"DWI \(MR_DWI\), and a system that was trained sees it: name other cases"):
        choose_cases(cases, [], ["case_9"], need_dwi=True)
    with pytest.raises(InputError, match="name the cases to show"):
        choose_cases(cases, [score("case_9", 3)], need_dwi=True)
