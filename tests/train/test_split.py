from pathlib import Path

import pytest

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.train.split import read_patients, split_cases

CASES = [f"case_{number}" for number in range(1, 13)]
PATIENTS = {case: f"p{i // 2}" for i, case in enumerate(CASES)}  # two scans each


def test_no_patient_is_on_both_sides() -> None:
    for seed in range(20):
        split = split_cases(CASES, PATIENTS, share=0.3, seed=seed)
        assert sorted([*split.train, *split.validation]) == sorted(CASES)
        assert not {PATIENTS[c] for c in split.train} & {PATIENTS[c] for c in split.validation}
        assert len(split.validation) == 4
        assert split.warnings == ()


def test_the_seed_decides() -> None:
    assert split_cases(CASES, PATIENTS, share=0.3, seed=1) == split_cases(CASES, PATIENTS, share=0.3, seed=1)
    assert len({split_cases(CASES, None, share=0.3, seed=seed).validation for seed in range(10)}) > 1


def test_without_a_table_every_case_is_a_patient_and_a_warning_says_so() -> None:
    split = split_cases(CASES, None, share=0.01, seed=0)
    assert len(split.validation) == 1
    assert "patient of its own" in split.warnings[0]


def test_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "patients.csv"
    file.write_text("case,patient\ncase_1, a\ncase_2,a\n", encoding="utf-8")
    assert read_patients(file) == {"case_1": "a", "case_2": "a"}


@pytest.mark.parametrize("content", ["case;patient\n1;2\n", "case,patient\ncase_1\n"])
def test_table_without_its_columns_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "patients.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="case,patient"):
        read_patients(file)


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="table of patients"):
        read_patients(tmp_path / "patients.csv")


def test_case_without_a_patient_is_refused() -> None:
    with pytest.raises(InputError, match="no row for case_12"):
        split_cases(CASES, dict.fromkeys(CASES[:-1], "p"), share=0.3, seed=0)


def test_one_patient_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="1 patients cannot be split"):
        split_cases(CASES, dict.fromkeys(CASES, "p"), share=0.3, seed=0)
