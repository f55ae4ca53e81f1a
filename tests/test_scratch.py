"""Scratch folders go with their process: at its end, or when the next one sweeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctpdeploy import scratch
from ctpdeploy.scratch import LOCK, NEW, OLD, Scratch, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is swept where there are no locks")

WORK = """
import sys, time
from pathlib import Path
from ctpdeploy.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.folder / "new").mkdir()
(scratch.folder / "new" / "half").touch()
print("at work", flush=True)
time.sleep(600)
"""


def test_it_is_swept_when_its_process_is_dead_and_not_before(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path / "a")], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"at work\n"
            (folder,) = tmp_path.iterdir()
            sweep(tmp_path)
            assert (folder / NEW / "half").exists()
        finally:
            process.kill()
    assert (folder / NEW / "half").exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def abandoned(path: Path, number: int = 0) -> Path:
    """What a killed process leaves."""
    folder = path.with_name(f".{path.name}.{number:08x}.partial")
    folder.mkdir()
    (folder / LOCK).touch()
    return folder


def test_what_was_put_aside_goes_back_unless_something_stands_there(tmp_path: Path):
    for name in ("a", "b"):
        (abandoned(tmp_path / name) / OLD).mkdir()
        (tmp_path / f".{name}.00000000.partial" / OLD / "old").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "new").touch()
    sweep(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/old", "b", "b/new"]


def test_nothing_of_others_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ["a.partial", ".a.partial", ".a.0000000.partial", ".a.0000000g.partial", "x.00000000.partial"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / LOCK).touch()
    (tmp_path / ".without.00000000.partial").mkdir()
    (tmp_path / ".without.00000000.partial" / "precious").touch()
    elsewhere = abandoned(tmp_path / "b")
    elsewhere.rename(tmp_path / "elsewhere")
    elsewhere.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    sweep(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    abandoned(tmp_path / "theirs")
    monkeypatch.setattr("os.getuid", lambda: os.geteuid() + 1)
    sweep(tmp_path)
    assert (tmp_path / ".theirs.00000000.partial").exists()


def test_one_that_has_no_lock_yet_is_swept_and_its_owner_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def take(lock: Path) -> int | None:
        begun.append(lock)
        if len(begun) == 1:
            sweep(tmp_path)
        return as_ever(lock)

    begun: list[Path] = []
    as_ever = scratch._take
    monkeypatch.setattr(scratch, "_take", take)
    made = Scratch(tmp_path / "a")
    assert len(begun) == 2
    assert [path.name for path in made.folder.iterdir()] == [LOCK]
    made.remove()
    made.remove()  # does nothing more
    assert list(tmp_path.iterdir()) == []


def test_the_first_in_a_folder_sweeps_it(tmp_path: Path):
    abandoned(tmp_path / "a")
    made = Scratch(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == [made.folder.name]
    made.remove()
