"""Folders and files that are whole or not there, with one process or two."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ctpdeploy.atomic import atomic_file, atomic_folder, atomic_replace, require_writable
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.bundle.archive import whole_archive
from ctpdeploy.scratch import sweep

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


KILLED = """
import sys
from pathlib import Path
from support.kill_points import content, killed_at_each_step
from ctpdeploy import atomic
from ctpdeploy.scratch import sweep
place, steps = Path(sys.argv[1]), sys.argv[2]
if steps == "two steps":
    atomic._exchange = lambda *_: False

def write(text):
    with atomic.atomic_folder(place / "a", replace=True) as folder:
        for name in ("1", "2", "3"):
            (folder / name).write_text(text)

def replace(text):
    with atomic.atomic_replace(place / "a" / "1") as partial:
        partial.write_text(text)

old, new = ({name: text for name in "123"} for text in (b"old", b"new"))
write("old")
stood, points = [], 0
for points in killed_at_each_step(lambda: write("new")):
    before = content(place / "a")
    assert before in ((old, new) if steps == "one step" else (old, new, {})), before
    sweep(place)
    after = content(place / "a")
    assert after in (old, new), (points, before, after)
    assert before in (after, {}), (points, before, after)
    assert [path.name for path in place.iterdir()] == ["a"], points
    stood.append("".join(["nothing, " * (not before), {b"old": "old", b"new": "new"}[after["1"]]]))
    write("old")
for _ in killed_at_each_step(lambda: replace("new")):
    assert content(place / "a") in (old, old | {"1": b"new"})
    sweep(place / "a")
    assert sorted(path.name for path in (place / "a").iterdir()) == ["1", "2", "3"]
print(*sorted(set(stood)), sep="; ")
assert points > 15, points
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
@pytest.mark.parametrize(("steps", "stood"), [("one step", "new; old"), ("two steps", "new; nothing, old; old")])
def test_killed_at_any_step_the_old_or_the_new_stands(tmp_path: Path, steps: str, stood: str):
    command = [sys.executable, "-c", KILLED, str(tmp_path), steps]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == stood


@pytest.mark.parametrize("fails", ["second", "both"])
def test_what_cannot_be_replaced_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str):
    """The disk fails when the old is aside; where it cannot be put back either, the next process does it."""

    def rename(path: Path, target: Path) -> Path:
        if path.name == "new" or (fails == "both" and path.name == "old"):
            raise OSError(5, "Input/output error")
        return as_ever(path, target)

    as_ever = Path.rename
    with atomic_folder(tmp_path / "a", replace=True) as folder:
        (folder / "old.txt").touch()
    monkeypatch.setattr("ctpdeploy.atomic._exchange", lambda *_: False)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="Input/output"), atomic_folder(tmp_path / "a", replace=True) as folder:
            (folder / "new.txt").touch()
    assert (tmp_path / "a").exists() == (fails == "second")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "old.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_rules_whatever_wrote_a_file(tmp_path: Path, umask: int, expected: int):
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "private").touch(mode=0o600)
            (folder / "script").touch()
            (folder / "script").chmod(0o755)
        with atomic_replace(tmp_path / "shared") as partial:
            partial.touch(mode=0o600)
        with atomic_replace(tmp_path / "secret", private=True) as partial:
            partial.touch(mode=0o600)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "folder": 0o777 & ~umask,
        "private": expected,
        "script": 0o755 | expected,
        "shared": expected,
        "secret": 0o600,
    }


def test_what_appears_has_reached_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each file before its folder, the folder before it has its name, and then the name."""
    synced: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, (tmp_path / "out" / "a").exists()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell what a descriptor is of")
    monkeypatch.setattr("os.fsync", fsync)
    with atomic_folder(tmp_path / "out" / "a") as folder:
        (folder / "1").touch()
        (folder / "2").touch()
    assert sorted(synced[:2]) == [("1", False), ("2", False)]
    assert synced[2:] == [("new", False), ("out", True)]
    synced.clear()
    with atomic_replace(tmp_path / "out" / "b") as partial:
        partial.touch()
    assert synced == [("new", True), ("out", True)]


def test_a_folder_that_can_be_made_again_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fsync(_: int) -> None:
        raise AssertionError("waits")

    monkeypatch.setattr("os.fsync", fsync)
    with atomic_folder(tmp_path / "a", durable=False) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "1").touch(mode=0o600)
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "usual").touch()
    assert (tmp_path / "a" / "below" / "1").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "usual").unlink()


def test_a_file_is_no_folder_of_results(tmp_path: Path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"cannot be written \(.*\): choose another place"):
            require_writable(out)


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int):
    def fsync(_: int) -> None:
        raise OSError(fault, os.strerror(fault))

    require_writable(tmp_path / "new" / "out")
    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(UsageError, match=os.strerror(fault)):
        require_writable(tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []
