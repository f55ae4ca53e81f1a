"""``ctpdeploy train``."""

import json
import shutil
from pathlib import Path

import pytest
from support.commands import SMALL

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.train.run_folder import RunFolder


def test_an_unknown_setting_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    run(["train", "data", "--out", "run", "--set", "epoch=3"])
    assert "did you mean 'epochs'" in capsys.readouterr().err


def test_train_resumes_with_the_configuration_of_the_run(
    trained_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    own = shutil.copytree(trained_run, tmp_path / "run")
    arguments = ["train", str(phantom_folder), "--out", str(own)]
    assert run([*arguments, "--resume"]) == ExitCode.DONE  # all its epochs are done: nothing is left to train
    assert "epoch" in capsys.readouterr().err
    assert run([*arguments, "--resume", "--preset", "tiny"]) == ExitCode.USAGE
    assert run([*arguments, "--resume", "--set", "width=5"]) == ExitCode.USAGE
    assert run(arguments) == ExitCode.USAGE


def test_how_maps_are_computed_is_a_setting(phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "run"
    arguments = ["train", str(phantom_folder), "--out", str(out), "--system", "unet", *SMALL]
    assert run([*arguments, "--set", "perfusion.tmacks=onset"]) == ExitCode.USAGE
    assert "did you mean 'tmax'" in capsys.readouterr().err
    assert run([*arguments, "--set", "perfusion.tmax=onset", "--set", "perfusion.method=osvd"]) == ExitCode.DONE
    settings = RunFolder(out).config().perfusion
    assert (settings.tmax, settings.method, settings.limit) == ("onset", "osvd", 0.035)


def test_any_system_trains_from_the_command_line(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    assert run(["train", str(phantom_folder), "--out", str(out), "--system", "unet", *SMALL]) == ExitCode.DONE
    assert "Best validation Dice" in capsys.readouterr().err
    assert json.loads((out / "config.json").read_text())["system"] == "unet"
    assert (
        run(["evaluate", str(out), str(phantom_folder), "--out", str(tmp_path / "scores"), "--json"]) == ExitCode.DONE
    )
    assert json.loads(capsys.readouterr().out)["networks"]["global_psnr"]["n"] == 0, "no pseudo-DWI to measure"
