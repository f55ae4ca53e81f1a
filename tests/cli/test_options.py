"""The signature of a bundle, asked for in the same words by every command that opens one."""

from pathlib import Path

import pytest
import typer
from support import bundles, nifti_cases

from ctpdeploy.cli import app, run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime.bundle.signature import sign

OTHERS = {"infer": ["CASE", "--out", "OUT"], "evaluate": ["CASE", "--out", "OUT"], "benchmark": ["CASE"]}
"""What these commands take beside a bundle."""


def takes_a_bundle(command: typer.core.TyperCommand) -> bool:
    return any(
        parameter.param_type_name == "argument" and "undle" in (parameter.help or "") for parameter in command.params
    )


COMMANDS = {name: command for name, command in typer.main.get_command(app).commands.items() if takes_a_bundle(command)}


def test_these_commands_open_bundles():
    """Should one more of them join, it is tested below by itself."""
    assert set(COMMANDS) == {"verify", "warmup", "infer", "benchmark", "evaluate"}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One of them, on a workstation of its own, with a bundle that is not signed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    case = nifti_cases.write_isles(tmp_path / "in" / "case_7", shape=(70, 66, 2), frames=16)
    bundle = bundles.write_bundle(tmp_path / "small.ctpbundle")
    words = {"CASE": str(tmp_path / "in"), "OUT": str(tmp_path / "out")}
    assert case
    return [request.param, str(bundle), *(words.get(word, word) for word in OTHERS.get(request.param, []))]


def test_each_refuses_what_is_unsigned_or_signed_by_another(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    public, stranger = bundles.write_keys(tmp_path, "maker")[1], bundles.write_keys(tmp_path, "stranger")[0]
    for fault in ("is not signed", "was not made with the key"):
        for asked in (["--require-signature", str(public)], ["--key", str(public)], ["trusted"]):
            if asked == ["trusted"]:
                assert run(["trust", str(public)]) == ExitCode.DONE
                capsys.readouterr()
            assert run([*command, *(option for option in asked if option != "trusted")]) == ExitCode.INPUT
            printed = capsys.readouterr()
            assert fault in printed.err
            assert printed.out == ""
        assert run(["trust", "--remove", "maker.pub"]) == ExitCode.DONE
        sign(Path(command[1]), stranger)
    assert run([*command, "--require-signature", str(tmp_path / "nothing")]) == ExitCode.USAGE
    assert not (tmp_path / "out").exists()


def test_each_can_be_told_not_to_ask(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    public = bundles.write_keys(tmp_path, "maker")[1]
    assert run(["trust", str(public)]) == ExitCode.DONE
    capsys.readouterr()
    both = ["--no-require-signature", "--require-signature", str(public)]
    assert run([*command, *both]) == ExitCode.USAGE
    assert "required and not required" in capsys.readouterr().err
    # the next fault is that of the bundle itself: its signature was not asked for
    (Path(command[1]) / "verification.json").unlink()
    assert run([*command, "--no-require-signature"]) == ExitCode.INPUT
    said = capsys.readouterr().err
    assert "Warning: the signature is not checked" in said
    assert "verification.json is missing" in said
