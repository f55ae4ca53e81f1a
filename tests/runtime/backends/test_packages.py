import importlib.metadata
import sys
from pathlib import Path

import pytest

from ctpdeploy.errors import BackendError, MissingPackageError
from ctpdeploy.runtime.backends.packages import refusal_of, require_whole, versions_of


def test_versions_are_of_what_is_installed():
    assert versions_of("numpy", "no-such-package-anywhere") == {"numpy": importlib.metadata.version("numpy")}


def test_a_package_is_there_missing_or_half_removed_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "made_empty").mkdir()
    (tmp_path / "made_broken.py").write_text("raise OSError('libmade.so: cannot open shared object file')")
    assert require_whole("numpy", extra="cpu", has="ndarray") is sys.modules["numpy"]
    with pytest.raises(MissingPackageError, match=r"'made_nowhere' is not installed: install .* its extra x"):
        require_whole("made_nowhere", extra="x", has="y")
    with pytest.raises(BackendError, match="made_empty is half removed: run pip install --force-reinstall made_empty"):
        require_whole("made_empty", extra="x", has="y")
    with pytest.raises(BackendError, match=r"made_broken is installed but does not load \(libmade.so: cannot open"):
        require_whole("made_broken", extra="x", has="y")


def test_a_refusal_is_a_reason_and_other_mistakes_are_none():
    def refused() -> None:
        raise BackendError("Too old.")

    assert refusal_of(refused) == "Too old."
    assert refusal_of(lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        refusal_of(lambda: 1 // 0)
