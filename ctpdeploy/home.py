"""Home: where systems have a user keep things, if the user has one, as services often have not."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

__all__ = ["PRIVATE", "make_folder", "user_cache_folder", "user_config_folder", "user_data_folder"]

PRIVATE: Final = 0o700
"""Mode of a folder that nobody else looks into."""


def user_cache_folder() -> Path | None:
    """Where this user keeps what can be made again; None without a home."""
    return _in_home(platformdirs.user_cache_path)


def user_config_folder() -> Path | None:
    """Where this user keeps what was chosen; None without a home."""
    return _in_home(platformdirs.user_config_path)


def user_data_folder() -> Path | None:
    """Where this user keeps what is neither; None without a home."""
    return _in_home(platformdirs.user_data_path)


def make_folder(folder: Path, mode: int = PRIVATE) -> None:
    """Make a folder and what is missing above it, all of a mode, whatever the umask is; what is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        place.mkdir(exist_ok=True, mode=mode)
        place.chmod(mode)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def _in_home(find: Callable[..., Path]) -> Path | None:
    try:
        folder = find("ctpdeploy", appauthor=False)
    except RuntimeError:  # as platformdirs says, of late, that there is no home
        return None
    if not folder.is_absolute():  # earlier ones give back "~"
        return None
    return None if _is_anothers(folder) else folder


def _is_anothers(folder: Path) -> bool:
    """Whether it lies where another user lets nobody in, as for a service that was started with root's ``HOME``."""
    if os.name != "posix":
        return False
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    return not os.access(there, os.X_OK) and there.stat().st_uid != os.getuid()
