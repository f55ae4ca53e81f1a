"""Lines, tables and JSON, and where each goes."""

import json
from pathlib import Path

import pytest

from ctpdeploy.cli.terminal import first_process, mean_and_std, print_json, print_table, say_found


def test_words_are_set_left_and_figures_right(capsys: pytest.CaptureFixture[str]):
    print_table(["case", "ml"], [["case_10", "1.5"], ["a", "12.0"]])
    assert capsys.readouterr() == ("case       ml\n-------  ----\ncase_10   1.5\na        12.0\n", "")
    print_table(["backend", ""], [["native", "ready"], ["ncnn", "-"]], words=2)
    assert capsys.readouterr().out.splitlines()[2:] == ["native   ready", "ncnn     -"]


@pytest.mark.parametrize(("count", "words"), [(1, "1 case found in a, b."), (24, "24 cases found in a, b.")])
def test_cases_found_are_counted_on_stderr(count: int, words: str, capsys: pytest.CaptureFixture[str]):
    say_found(count, Path("a"), Path("b"))
    assert capsys.readouterr() == ("", f"{words}\n")


def test_json_is_json(capsys: pytest.CaptureFixture[str]):
    print_json({"dice": 0.5})
    assert json.loads(capsys.readouterr().out) == {"dice": 0.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"dice": float("nan")})


def test_nothing_to_average_is_a_dash():
    assert mean_and_std(0.52, 0.2) == "0.520 ± 0.200"
    assert mean_and_std(None, None) == "-"


@pytest.mark.parametrize(("rank", "first"), [(None, True), ("0", True), ("1", False)])
def test_one_process_of_torchrun_speaks(monkeypatch: pytest.MonkeyPatch, rank: str | None, first: bool):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert first_process() is first
