"""Lines, tables and JSON, and where each goes."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctpdeploy.cli import run
from ctpdeploy.cli.terminal import (
    first_process,
    log_to,
    log_to_stderr,
    mean_and_std,
    print_json,
    print_table,
    say,
    say_found,
)
from ctpdeploy.errors import ExitCode


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


@pytest.fixture
def quiet_logger() -> Iterator[None]:
    """The logger of the package, as it was before."""
    logger = logging.getLogger("ctpdeploy")
    before, level = list(logger.handlers), logger.level
    yield
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)


@pytest.mark.usefixtures("quiet_logger")
def test_the_log_names_cases_by_their_numbers(bundle_folder: Path, phantom_folder: Path, tmp_path: Path):
    log = tmp_path / "audit.log"
    command = ["--log", str(log), "infer", str(bundle_folder), str(phantom_folder), "--out", str(tmp_path / "out")]
    assert run(command) == ExitCode.DONE
    lines = log.read_text().splitlines()
    assert sum("ctpdeploy.runtime.cohort: case " in line for line in lines) == 4
    assert any("ctpdeploy.runtime.io: 4 cases found" in line for line in lines)
    assert any("ctpdeploy.runtime: bundle " in line for line in lines)
    assert "case_" not in log.read_text()
    assert run(["--log", str(tmp_path / "no" / "such.log"), "doctor"]) == ExitCode.USAGE


@pytest.mark.usefixtures("quiet_logger")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_is_full_is_refused_before_anything_is_done(capsys: pytest.CaptureFixture[str]):
    assert run(["--log", "/dev/full", "doctor"]) == ExitCode.USAGE
    assert capsys.readouterr() == (
        "",
        "Error: /dev/full cannot be written (No space left on device): name another file for --log.\n",
    )


@pytest.mark.usefixtures("quiet_logger")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_log_into_a_pipe_waits_for_no_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    os.mkfifo(tmp_path / "pipe")
    assert run(["--log", str(tmp_path / "pipe"), "doctor"]) == ExitCode.USAGE
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("quiet_logger")
def test_a_log_that_fills_up_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    log_to(tmp_path / "audit.log")
    logger = logging.getLogger("ctpdeploy")
    logger.info("one")

    def full() -> None:
        raise OSError(28, "No space left on device")

    handler = logger.handlers[-1]
    with monkeypatch.context() as patch:
        patch.setattr(handler, "flush", full)
        logger.info("two")
        logger.info("three")
    handler.close()
    assert capsys.readouterr().err == (
        "Warning: the log ends here, since it cannot be written any more ([Errno 28] No space left on device).\n"
    )
    assert "INFO ctpdeploy: one" in (tmp_path / "audit.log").read_text().splitlines()[1]


def test_names_do_not_command_the_terminal(capsys: pytest.CaptureFixture[str]):
    print_table(["case"], [["a\x1b]0;title\x07\nb"]])
    say("Error: \x1b[31mred")
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "a\ufffd]0;title\ufffd\ufffdb"
    assert printed.err == "Error: \ufffd[31mred\n"


@pytest.mark.usefixtures("quiet_logger")
def test_a_line_of_the_log_is_one_line_and_commands_nothing(tmp_path: Path):
    log_to(tmp_path / "audit.log")
    logging.getLogger("ctpdeploy").info("of %s", "a\x1b[31m\nINFO b")
    (_, line) = (tmp_path / "audit.log").read_text().splitlines()
    assert line.endswith("of a\ufffd[31m\ufffdINFO b")


def test_the_log_of_a_service_is_text_or_json(capsys: pytest.CaptureFixture[str]):
    log = logging.getLogger("ctpdeploy.service")
    with log_to_stderr(as_json=True):
        log.warning("a study of %d images\nand more", 40)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"]) == ("WARNING", "ctpdeploy.service")
    assert line["message"] == "a study of 40 images\nand more"
    with log_to_stderr():
        log.warning("one\ntwo")
    assert capsys.readouterr().err.endswith("WARNING ctpdeploy.service: one\ufffdtwo\n")
