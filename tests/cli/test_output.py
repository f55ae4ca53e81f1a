"""Output into a full disk or a closed pipe: the work is done all the same, and one sentence says what is missing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.errors import ExitCode

LOST = "Error: The output could not be printed whole ({}): what goes to files is written all the same"


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed() -> int:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


FAULTS = [
    pytest.param(
        full,
        "No space left on device",
        id="full",
        marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"),
    ),
    pytest.param(
        closed, "Broken pipe", id="closed", marks=pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
    ),
]


def ctpdeploy(*arguments: str, stdout: int, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ctpdeploy", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""}  # as for most users
    try:
        return subprocess.run(
            command, stdout=stdout, stderr=stderr, text=True, timeout=120, check=False, env=environment
        )
    finally:
        os.close(stdout)


@pytest.mark.parametrize(("place", "fault"), FAULTS)
@pytest.mark.parametrize(
    "command", [["--version"], ["--help"], ["reproduce", "--list"], ["doctor", "--json"]], ids=" ".join
)
def test_what_cannot_be_printed_is_said_in_one_sentence(command: list[str], place: Callable[[], int], fault: str):
    done = ctpdeploy(*command, stdout=place())
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(LOST.format(fault))
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("place", "fault"), FAULTS)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["tables", "json"])
def test_no_result_is_lost(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path, form: list[str], place: Callable[[], int], fault: str
):
    command = ["infer", str(bundle_folder), str(phantom_folder), "--out", str(tmp_path / "out"), *form]
    done = ctpdeploy(*command, stdout=place())
    assert done.returncode == ExitCode.USAGE
    assert LOST.format(fault) in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "out").glob("case_*/report.json"))) == 4
    scores = ["evaluate", str(bundle_folder), str(phantom_folder), "--out", str(tmp_path / "scores"), *form]
    assert ctpdeploy(*scores, stdout=place()).returncode == ExitCode.USAGE
    assert json.loads((tmp_path / "scores" / "summary.json").read_text())["cases"] == 4


@pytest.mark.parametrize(("place", "fault"), FAULTS)
def test_an_error_keeps_its_own_exit_code(place: Callable[[], int], fault: str, tmp_path: Path, bundle_folder: Path):
    damaged = tmp_path / "case_1" / "SMIR.Brain.XX.O.CT_4DPWI.1"
    damaged.mkdir(parents=True)
    (damaged / "SMIR.Brain.XX.O.CT_4DPWI.1.nii").touch()
    command = ["infer", str(bundle_folder), str(tmp_path / "case_1"), "--out", str(tmp_path / "out"), "--json"]
    done = ctpdeploy(*command, stdout=place())
    assert done.returncode == ExitCode.INPUT
    assert "is not a complete NIfTI file" in done.stderr
    assert LOST.format(fault) in done.stderr


@pytest.mark.parametrize(("place", "fault"), FAULTS)
def test_what_cannot_be_said_stops_nothing(place: Callable[[], int], fault: str):  # noqa: ARG001
    reader, writer = os.pipe()
    silent = place()
    done = ctpdeploy("doctor", "--json", stdout=writer, stderr=silent)
    os.close(silent)
    with os.fdopen(reader) as printed:
        assert "backends" in json.load(printed)
    assert done.returncode == ExitCode.DONE
