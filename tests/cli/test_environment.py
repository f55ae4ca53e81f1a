"""Faults of the environment end in a sentence and its exit code before anything is read or computed."""

import errno
import os
from pathlib import Path

import pytest
from support.commands import SMALL

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


def commands(bundle: Path, data: Path, trained: Path, out: str) -> dict[str, list[str]]:
    """Every command that writes where it is told to."""
    return {
        "infer": ["infer", str(bundle), str(data), "--out", out],
        "evaluate": ["evaluate", str(bundle), str(data), "--out", out],
        "benchmark": ["benchmark", str(bundle), str(data), "--out", out],
        "train": ["train", str(data), "--out", out, *SMALL],
        "export": ["export", str(trained), "--out", out],
        "export --triton": ["export", str(trained), "--out", f"{data}.ctpbundle", "--triton", out],
        "reproduce": ["reproduce", "5", str(data), "--rows", "Fo", "--test", str(data), "--out", out, *SMALL],
        "figures": ["figures", str(data), str(data), "--out", out],
        "phantom": ["phantom", out, "--cases", "1"],
        "demo": ["demo", out],
    }


NAMES = list(commands(Path(), Path(), Path(), ""))


@pytest.mark.parametrize("fault", ["below a file", "a full disk"])
@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_can_be_written_nothing_is_begun(
    name: str,
    fault: str,
    bundle_folder: Path,
    phantom_folder: Path,
    trained_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    (tmp_path / "file").touch()
    if fault == "a full disk":

        def fsync(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("os.fsync", fsync)
    place = tmp_path / ("file" if fault == "below a file" else "new") / "out"
    assert run(commands(bundle_folder, phantom_folder, trained_run, str(place))[name]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    (error,) = [line for line in printed.err.splitlines() if line.startswith(("Error: ", "Unexpected"))]
    assert "cannot be written (" in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("options", [[], ["--backend", "tensorrt-rtx", "--gpus", "8.6"]], ids=["speeds", "an engine"])
def test_warmup_measures_nothing_that_cannot_be_kept(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The bundle is not even looked for."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(tmp_path / "file"))
    if options:
        pytest.importorskip("tensorrt_rtx")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert run(["warmup", str(tmp_path / "nothing"), *options]) == ExitCode.USAGE
    assert "cannot be written (Not a directory): name another" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EFBIG, errno.EROFS])
def test_a_disk_that_fills_up_meanwhile_is_no_unexpected_failure(
    fault: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def fail() -> None:
        raise OSError(fault, os.strerror(fault), "results/x")

    monkeypatch.setattr("ctpdeploy.cli.doctor.examine", fail)
    assert run(["doctor"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith(f"Error: [Errno {fault}] {os.strerror(fault)}: 'results/x': make room")
