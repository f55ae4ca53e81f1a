"""The places of caches, with and without a home, an administrator and a variable."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.caches import cache_folder, cache_folders, shared_cache_folder, user_data_folder


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
