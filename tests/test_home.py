"""A user's places, and folders that nobody else looks into."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from ctpdeploy.home import make_folder, user_cache_folder, user_config_folder, user_data_folder

PLACES = {"XDG_CACHE_HOME": user_cache_folder, "XDG_CONFIG_HOME": user_config_folder, "XDG_DATA_HOME": user_data_folder}


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_what_is_missing_is_made_in_one_mode_whatever_the_umask(tmp_path: Path, mode: int):
    (tmp_path / "there").mkdir(mode=0o711)
    before = os.umask(0o027)
    try:
        make_folder(tmp_path / "there" / "a" / "b", mode)
        make_folder(tmp_path / "there" / "a" / "b", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o711
    for path in (tmp_path / "there" / "a", tmp_path / "there" / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_in_the_way_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            make_folder(folder)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize("variable", PLACES)
def test_a_home_that_another_keeps_closed_is_none(variable: str, monkeypatch: pytest.MonkeyPatch):
    """As for a service that was started with root's HOME."""
    with tempfile.TemporaryDirectory() as folder:  # 0700, and its owner's
        monkeypatch.setenv(variable, str(Path(folder) / "home"))
        assert PLACES[variable]() == Path(folder) / "home" / "ctpdeploy"
        service = os.fork()
        if service == 0:
            os.setgid(65534)
            os.setuid(65534)
            os._exit(0 if PLACES[variable]() is None else 1)
        assert os.waitpid(service, 0)[1] == 0
