"""The places of caches, with and without a home, an administrator and a variable; who may see them, and their end."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctpdeploy.caches import (
    CASES,
    ENGINES,
    KINDS,
    SPEEDS,
    cache_folder,
    cache_folders,
    holdings,
    make_as_open,
    private_cache,
    shared_cache_folder,
)
from ctpdeploy.home import user_data_folder


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.site_cache_path", lambda *_, **__: tmp_path / "var")
    return tmp_path / "var"


def test_the_users_comes_first_and_the_machines_after(machines: Path):
    own = cache_folder()
    assert own is not None
    assert own.is_relative_to(os.environ["XDG_CACHE_HOME"])
    assert cache_folders() == (own, machines)
    assert shared_cache_folder() == own  # nobody has made the machine's
    machines.mkdir()
    assert shared_cache_folder() == machines


def test_the_variable_names_the_only_one(machines: Path, monkeypatch: pytest.MonkeyPatch):
    machines.mkdir()
    monkeypatch.chdir(machines.parent)
    monkeypatch.setenv("CTPDEPLOY_CACHE", "named")
    named = machines.parent / "named"
    assert (cache_folder(), cache_folders(), shared_cache_folder()) == (named, (named,), named)
    monkeypatch.setenv("CTPDEPLOY_CACHE", "")
    assert shared_cache_folder() == machines


def no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("answer", [lambda *_, **__: Path("~/ctpdeploy"), no_home], ids=["earlier", "of late"])
def test_without_a_home_there_is_none(machines: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Path]):
    """What platformdirs answers then."""
    for place in ("user_cache_path", "user_data_path"):
        monkeypatch.setattr(f"platformdirs.{place}", answer)
    assert cache_folder() is None
    assert user_data_folder() is None
    assert cache_folders() == (machines,)
    assert shared_cache_folder() is None


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for everything, not made yet."""
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.usefixtures("umask")
def test_a_cache_that_is_made_is_private(cache: Path):
    assert make_as_open(cache / SPEEDS) == 0o600
    assert [mode_of(path) for path in (cache / SPEEDS, cache, cache.parent)] == [0o700] * 3


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("given", "folder", "file"), [(0o755, 0o755, 0o644), (0o2750, 0o750, 0o640), (0o777, 0o755, 0o644)]
)
def test_speeds_are_as_open_as_the_cache_that_an_administrator_made(cache: Path, given: int, folder: int, file: int):
    """Whatever the umask is, and never for others to write."""
    cache.mkdir(parents=True)
    cache.chmod(given)
    assert make_as_open(cache / SPEEDS) == file
    assert mode_of(cache / SPEEDS) & 0o777 == folder
    assert mode_of(cache) == given


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_others_are_shut_out_of_what_is_private(cache: Path):
    assert private_cache(CASES) == cache / CASES
    assert not cache.exists()
    for kind in (CASES, ENGINES):
        (cache / kind).mkdir(parents=True)
        (cache / kind).chmod(0o755)
        private_cache(kind)
        assert mode_of(cache / kind) == 0o700


def fill(cache: Path) -> list[Path]:
    """An entry of each kind, and beside it what is none."""
    entries = []
    for number, (kind, suffix) in enumerate(KINDS.items(), start=1):
        (cache / kind).mkdir(parents=True)
        entries.append(cache / kind / f"{number:064x}{suffix}")
        entries[-1].write_bytes(bytes(number))
        (cache / kind / f"notes{suffix}").touch()
    (cache / "other").mkdir()
    return entries


def test_what_is_held_is_counted_and_cleared_and_nothing_else(cache: Path):
    assert list(holdings()) == []
    entries = fill(cache)
    held = list(holdings())
    assert [(one.kind, one.folder, one.size) for one in held] == [
        (kind, cache / kind, size) for size, kind in enumerate(KINDS, start=1)
    ]
    assert [entry for one in held for entry in one.entries] == entries
    assert [one.clear() for one in held] == [1, 1, 1]
    assert sorted(path.name for path in cache.rglob("*.*")) == sorted(f"notes{suffix}" for suffix in KINDS.values())
    for kind, suffix in KINDS.items():
        (cache / kind / f"notes{suffix}").unlink()
    for one in holdings():
        one.clear()
    assert [path.name for path in cache.iterdir()] == ["other"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to become somebody else")
def test_what_an_administrator_keeps_serves_a_service(monkeypatch: pytest.MonkeyPatch):
    """And of the patients' images it sees nothing."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        monkeypatch.setenv("CTPDEPLOY_CACHE", str(cache))
        Path(folder).chmod(0o755)
        cache.mkdir(mode=0o755)
        before = os.umask(0o077)
        entries = fill(cache)
        os.umask(before)
        entries[-1].chmod(make_as_open(cache / SPEEDS))
        (cache / SPEEDS).chmod(0o755)  # made above without it
        private_cache(CASES)
        reader = os.fork()
        if reader == 0:
            os.setgid(65534)
            os.setuid(65534)
            seen = [
                entry.kind
                for entry in holdings()
                if entry.entries and all(os.access(e, os.R_OK) for e in entry.entries)
            ]
            os._exit(0 if seen == [SPEEDS] else 1)
        assert os.waitpid(reader, 0)[1] == 0
