"""``ctpdeploy phantom``."""

from pathlib import Path

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


def test_phantom_writes_cases_and_never_over_them(tmp_path: Path):
    arguments = ["phantom", str(tmp_path / "data"), "--cases", "1", "--size", "64", "--seed", "3"]
    assert run(arguments) == ExitCode.DONE
    assert (tmp_path / "data" / "case_1" / "truth.json").is_file()
    assert run(arguments) == ExitCode.INPUT
