"""Folders and files that are whole or not there, with one process or two."""

import subprocess
import sys
from pathlib import Path

import pytest

from ctpdeploy.atomic import atomic_file, atomic_folder
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.bundle.archive import whole_archive

RACE = """
import sys, time
from pathlib import Path
from ctpdeploy.errors import CtpdeployError
from ctpdeploy.runtime.bundle.archive import whole_archive
from ctpdeploy.atomic import atomic_folder
made, name, target, place = sys.argv[1:]
try:
    with {"folder": atomic_folder, "archive": whole_archive}[made](Path(target)) as folder:
        for i in range(20):
            (folder / f"{i}.txt").write_text(name)
        Path(place, name).touch()
        while len(list(Path(place).iterdir())) < 2:  # both are inside: neither saw the other's result
            time.sleep(0.01)
except CtpdeployError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@pytest.mark.parametrize("made", ["folder", "archive"])
def test_two_processes_leave_one_whole_result(tmp_path: Path, made: str):
    (tmp_path / "inside").mkdir()
    target = tmp_path / "out" / "result"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, made, name, str(target), str(tmp_path / "inside")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2]
    winner = ("one", "two")[codes.index(0)]
    assert said[codes.index(0)] == ""
    assert "was made by another process meanwhile, and is whole" in said[codes.index(2)]
    assert len(said[codes.index(2)].splitlines()) == 1
    assert [path.name for path in target.parent.iterdir()] == ["result"]
    if made == "folder":
        assert {path.read_text() for path in target.iterdir()} == {winner}
        assert len(list(target.iterdir())) == 20
    else:
        assert target.read_bytes().count(winner.encode()) == 20


@pytest.mark.parametrize("make", [atomic_folder, atomic_file, whole_archive])
def test_what_is_there_stays_and_a_failure_leaves_nothing(tmp_path: Path, make):  # noqa: ANN001
    def fail() -> None:
        with make(tmp_path / "new") as content:
            if make is atomic_file:
                content.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").write_text("precious")
    with pytest.raises(UsageError, match="exists already"), make(tmp_path / "old"):
        pass
    assert (tmp_path / "old").read_text() == "precious"


def test_a_file_appears_without_hard_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr("os.link", refuse)
    with atomic_file(tmp_path / "a.zip") as content:
        content.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_text() == "whole"


def test_an_earlier_folder_is_replaced_when_asked(tmp_path: Path):
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "a", replace=True) as folder:
            (folder / f"{text}.txt").write_text(text)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "two.txt"]
