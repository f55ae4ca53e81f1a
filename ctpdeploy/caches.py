"""Caches: where a machine and its users keep what takes long to find out.

::

    $CTPDEPLOY_CACHE          where it is set, and nowhere else
    the user's cache folder   ~/.cache/ctpdeploy on Linux; none without a home, as services often are
    the machine's             /var/cache/ctpdeploy on Linux, where an administrator has made it
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

__all__ = ["VARIABLE", "cache_folder", "cache_folders", "shared_cache_folder", "user_data_folder"]

VARIABLE: Final = "CTPDEPLOY_CACHE"


def cache_folder() -> Path | None:
    """Where this user keeps things; None if there is no place. It need not exist."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    return _in_home(platformdirs.user_cache_path)


def user_data_folder() -> Path | None:
    """Where this user keeps what is no cache; None without a home."""
    return _in_home(platformdirs.user_data_path)


def shared_cache_folder() -> Path | None:
    """Where things for all users of the machine are kept: in its cache where this user may, else as the user's own."""
    machines = _machines()
    if not os.environ.get(VARIABLE) and os.access(machines, os.W_OK | os.X_OK):
        return machines
    return cache_folder()


def cache_folders() -> tuple[Path, ...]:
    """All places where things may have been kept for this user, the user's own first."""
    own = cache_folder()
    others = () if os.environ.get(VARIABLE) else (_machines(),)
    return others if own is None else (own, *others)


def _in_home(find: Callable[..., Path]) -> Path | None:
    try:
        folder = find("ctpdeploy", appauthor=False)
    except RuntimeError:  # as platformdirs says, of late, that there is no home
        return None
    return folder if folder.is_absolute() else None  # earlier ones give back "~"


def _machines() -> Path:
    return platformdirs.site_cache_path("ctpdeploy", appauthor=False)
