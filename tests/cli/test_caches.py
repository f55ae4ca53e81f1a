"""``ctpdeploy caches``."""

import json
import os
from pathlib import Path

import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds two patients and one measurement."""
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(tmp_path / "cache"))
    for kind, name, size in (("cases", "a.safetensors", 5), ("cases", "b.safetensors", 6), ("speeds", "a.json", 7)):
        file = tmp_path / "cache" / kind / f"{name[0] * 64}{name[1:]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    return tmp_path / "cache"


def test_what_is_kept_is_listed_and_removed(cache: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["caches", "--json"]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["folders"] == [str(cache)]
    assert [(held["kind"], held["entries"], held["bytes"]) for held in found["held"]] == [
        ("cases", 2, 11),
        ("speeds", 1, 7),
    ]
    assert run(["caches"]) == ExitCode.DONE
    assert str(cache / "cases") in capsys.readouterr().out
    assert run(["caches", "cases", "--clear"]) == ExitCode.DONE
    assert "All of this is removed." in capsys.readouterr().err
    assert [path.name for path in cache.iterdir()] == ["speeds"]
    assert run(["caches", "--clear"]) == ExitCode.DONE
    assert list(cache.iterdir()) == []
    capsys.readouterr()
    assert run(["caches", "--clear"]) == ExitCode.DONE
    assert capsys.readouterr() == ("", f"Nothing is kept in {cache}.\n")


def test_there_is_no_other_kind(cache: Path):
    assert run(["caches", "case", "--clear"]) == ExitCode.USAGE
    assert len(list(cache.rglob("*.*"))) == 3


def test_what_may_not_be_removed_is_named_and_the_rest_goes(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def unlink(path: Path, **options: bool) -> None:
        if path.parent.name == "cases":
            raise PermissionError(13, os.strerror(13))
        as_ever(path, **options)

    as_ever = Path.unlink
    monkeypatch.setattr(Path, "unlink", unlink)
    assert run(["caches", "--clear"]) == ExitCode.BATCH
    assert f"{cache / 'cases'} (Permission denied) stays" in capsys.readouterr().err
    assert [path.name for path in cache.iterdir()] == ["cases"]
