"""Caches: where a machine and its users keep what takes long to find out.

::

    $CTPDEPLOY_CACHE          where it is set, and nowhere else
    the user's cache folder   ~/.cache/ctpdeploy on Linux; none without a home, as services often are
    the machine's             /var/cache/ctpdeploy on Linux, where an administrator has made it

      cases/       preprocessed patients, and
      engines/     programs for the GPU: for their owner's eyes alone, wherever they lie
      speeds/      of backends: for whoever may look into the cache in which they lie
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from ctpdeploy.home import PRIVATE, make_folder, user_cache_folder
from ctpdeploy.scratch import sweep

__all__ = [
    "CASES",
    "ENGINES",
    "KINDS",
    "SPEEDS",
    "VARIABLE",
    "Holding",
    "cache_folder",
    "cache_folders",
    "holdings",
    "make_as_open",
    "private_cache",
    "shared_cache_folder",
]

VARIABLE: Final = "CTPDEPLOY_CACHE"

CASES, ENGINES, SPEEDS = "cases", "engines", "speeds"
KINDS: Final = {CASES: ".safetensors", ENGINES: ".engine", SPEEDS: ".json"}
"""Folders in a cache, and what the names of their entries end with."""

_ENTRY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What a cache holds of one kind.

    Attributes:
        kind: one of ``KINDS``.
        folder: where it lies.
        entries: its files; others in the folder are not ours.
    """

    kind: str
    folder: Path
    entries: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of all entries that are still there."""
        total = 0
        for entry in self.entries:
            with suppress(OSError):
                total += entry.lstat().st_size
        return total

    def clear(self) -> int:
        """Remove all entries, what killed processes left, and the folder if it is empty then.

        Returns:
            How many entries were removed.

        Raises:
            OSError: this user may not.
        """
        for entry in self.entries:
            entry.unlink(missing_ok=True)
        sweep(self.folder)
        with suppress(OSError):  # other things lie in it
            self.folder.rmdir()
        return len(self.entries)


def cache_folder() -> Path | None:
    """Where this user keeps things; None if there is no place. It need not exist."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    return user_cache_folder()


def private_cache(kind: str) -> Path | None:
    """Where this user keeps one kind of thing that nobody else is to see; None if there is no place.

    It need not exist; where it does, others are shut out of it now.
    """
    folder = cache_folder()
    if folder is None:
        return None
    folder /= kind
    with suppress(OSError):  # another's, or not there
        if stat.S_IMODE(folder.stat().st_mode) & ~PRIVATE:
            folder.chmod(PRIVATE)
    return folder


def shared_cache_folder() -> Path | None:
    """Where things for all users of the machine are kept: in its cache where this user may, else as the user's own."""
    machines = _machines()
    if not os.environ.get(VARIABLE) and os.access(machines, os.W_OK | os.X_OK):
        return machines
    return cache_folder()


def make_as_open(folder: Path) -> int:
    """Make a folder in a cache, to be read by whoever may look into the cache; a cache that is missing is private.

    The umask has no part in it: an administrator's may be one that shuts everybody out.

    Returns:
        The permissions of files in it.

    Raises:
        OSError: it cannot be made.
    """
    make_folder(folder.parent)
    mode = stat.S_IMODE(folder.parent.stat().st_mode) & 0o755 | PRIVATE
    make_folder(folder, mode)
    return mode & 0o644


def cache_folders() -> tuple[Path, ...]:
    """All places where things may have been kept for this user, the user's own first."""
    own = cache_folder()
    others = () if os.environ.get(VARIABLE) else (_machines(),)
    return others if own is None else (own, *others)


def holdings() -> Iterator[Holding]:
    """What lies in all of these places, a kind at a time; only kinds that are there."""
    for place in cache_folders():
        for kind, suffix in KINDS.items():
            folder = place / kind
            with suppress(OSError):  # not there, or not for this user
                entries = sorted(path for path in folder.iterdir() if path.suffix == suffix)
                yield Holding(kind=kind, folder=folder, entries=tuple(e for e in entries if _ENTRY.fullmatch(e.stem)))


def _machines() -> Path:
    return platformdirs.site_cache_path("ctpdeploy", appauthor=False)
