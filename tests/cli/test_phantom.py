"""``ctpdeploy phantom``."""

from pathlib import Path

import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.phantom.dicom import LAYOUTS


def test_phantom_writes_cases_and_never_over_them(tmp_path: Path):
    arguments = ["phantom", str(tmp_path / "data"), "--cases", "1", "--size", "64", "--seed", "3"]
    assert run(arguments) == ExitCode.DONE
    assert (tmp_path / "data" / "case_1" / "truth.json").is_file()
    assert run(arguments) == ExitCode.INPUT


def test_phantom_writes_studies_and_lists_their_layouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["phantom", "--dicom", "list"]) == ExitCode.DONE
    listed = capsys.readouterr().out
    assert all(name in listed and layout.summary in listed for name, layout in LAYOUTS.items())
    arguments = ["phantom", str(tmp_path), "--cases", "1", "--size", "64", "--dicom", "canon-volumes"]
    assert run([*arguments, "--set", "frames=20"]) == ExitCode.DONE
    assert sorted(path.name for path in (tmp_path / "case_1").iterdir()) == ["study", "truth"]
    assert run(["phantom", str(tmp_path), "--dicom", "canon"]) == ExitCode.USAGE
