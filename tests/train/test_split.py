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


def test_table_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, other columns, capitals, spaces, quotes, blank rows, a case said twice."""
    file = tmp_path / "patients.csv"
    text = """\r
age, Patient ,Case,\r
70,"a, b", case_1,\r
,,,\r
71,c,case_2,x,y\r
70,"a, b",case_1,\r
\r
"""
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_patients(file) == {"case_1": "a, b", "case_2": "c"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "columns case,patient"),
        ("case;patient\n1;2\n", "columns case,patient"),
        ("case_1,a\ncase_2,a\n", "columns case,patient"),
        ("case,patient,patient\ncase_1,a,b\n", "columns case,patient once each"),
        ("case,patient\ncase_1\n", "row 'case_1'"),
        ("case,patient\ncase_1,a\n,b\n", "row ',b'"),
        ("case,patient\ncase_1, \n", "row 'case_1,'"),
        ("case,patient\n\n", "no row below case,patient"),
        ("case,patient\ncase_1,a\ncase_2,a\ncase_1,b\n", "gives case_1 two patients, a and b"),
    ],
)
def test_what_is_no_table_of_patients_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "patients.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_patients(file)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "patients.csv"
    file.write_text("case,patient\ncase_1,a\n", encoding="utf-16")
    with pytest.raises(InputError, match="Cannot read the table of patients"):
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
