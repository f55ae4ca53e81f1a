"""The command line as its users meet it: results, refusals and exit codes."""

import pytest

from ctpdeploy.cli import COMMANDS, run
from ctpdeploy.errors import ExitCode


@pytest.mark.parametrize("command", ["", *COMMANDS, "study"])
def test_help_fits_into_80_columns_and_teaches(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command.split(), "--help"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Usage: ctpdeploy")
    assert max(map(len, lines)) <= 80
    if command not in ("", "demo", "doctor"):  # which take nothing that would need one
        example = lines[lines.index("  Example:") + 1]
        assert example.startswith(f"    ctpdeploy {'reproduce' if command == 'study' else command} ")


def test_the_list_of_commands_is_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    listed = lines[lines.index("Commands:") + 1 : lines.index("Commands:") + 1 + len(COMMANDS)]
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["infer"],
        ["infer", "x.ctpbundle"],
        ["infer", "x.ctpbundle", "case", "--ctp", "a.nii"],
        ["infer", "x.ctpbundle", "--ctp", "a.nii", "--name", "../escape"],
        ["phantom", "out", "--cases", "0"],
        ["phantom", "out", "--info-gap", "2"],
        ["train", "data", "--out", "run", "--preset", "huge"],
        ["train", "data", "--out", "run", "--set", "epoch=3"],
    ],
)
def test_usage_errors_exit_with_two(arguments: list[str]):
    assert run(arguments) == ExitCode.USAGE


def test_an_unexpected_error_is_one_sentence_unless_debugging(capsys, monkeypatch):  # noqa: ANN001
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("ctpdeploy.cli.doctor.examine", fail)
    assert run(["doctor"]) == ExitCode.FAILURE
    said = capsys.readouterr().err
    assert said == "Unexpected RuntimeError: a bug (ctpdeploy --debug ... shows where).\n"
    assert run(["--debug", "doctor"]) == ExitCode.FAILURE
    traceback = capsys.readouterr().err
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith(said)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("ctpdeploy 0.")
