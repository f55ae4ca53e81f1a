"""Scratch: a hidden folder for what is not complete, locked by the process at work in it and swept when that is dead.

::

    .case_1.1f0c9a3e.partial/     private to the user
      lock      held locked for as long as the process lives
      new       what it makes
      old       what it has put aside, where the system cannot let two names change places in one step

A lock goes with its process, however that ends; it is also seen from other machines and containers, where a process
number means nothing. Where a file system has no locks nothing is swept.
"""

import os
import re
import shutil
import stat
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import uuid4

__all__ = ["LOCK", "NEW", "OLD", "Scratch", "require_room", "sweep"]

LOCK: Final = "lock"
NEW: Final = "new"
OLD: Final = "old"

_FOLDER: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.partial")


class Scratch:
    """A scratch folder beside the path that its content will have, there until ``remove`` is called.

    The first in a parent folder sweeps there what killed processes have left.

    Args:
        path: whose folder is made if it is not there.

    Attributes:
        folder: of this process alone.

    Raises:
        OSError: none can be made there.
    """

    folder: Path

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent.absolute())
        self._path, self._lock = path, None
        while self._lock is None:
            self.folder = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
                self._lock = _take(self.folder / LOCK)

    @property
    def file_mode(self) -> int:
        """Permissions of a new file, as the user's umask has them."""
        return stat.S_IMODE((self.folder / LOCK).stat().st_mode)

    def remove(self) -> None:
        """Remove it now; ``old`` goes back to its path if nothing stands there, and all stays if it cannot."""
        if self._lock is not None:
            with suppress(OSError):
                _remove(self.folder, self._path)
            os.close(self._lock)
            self._lock = None


def require_room(parent: Path, size: int) -> None:
    """Try whether a file can be written into a folder that is there; nothing of it stays.

    Args:
        parent: the folder.
        size: of the file, in bytes.

    Raises:
        OSError: it cannot.
    """
    trial = Scratch(parent / "trial")
    try:
        with (trial.folder / NEW).open("wb") as file:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    finally:
        trial.remove()


def sweep(parent: Path) -> None:
    """Remove this user's scratch folders whose process is dead, and put back what they had put aside.

    Args:
        parent: only what lies directly in it is looked at; it need not exist.
    """
    with suppress(OSError):
        for name in os.listdir(parent):  # noqa: PTH208  names are enough, and there can be thousands
            if match := _FOLDER.fullmatch(name):
                with suppress(OSError):  # somebody is at work in it, or sweeps it
                    _sweep(parent / name, parent / match["name"])


@lru_cache(maxsize=64)
def _sweep_once(parent: Path) -> None:
    sweep(parent)


def _sweep(folder: Path, path: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or not hasattr(os, "getuid") or status.st_uid != os.getuid():
        return
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        folder.rmdir()  # killed before it had a lock; one that is just beginning begins again
        return
    try:
        _flock(lock)
        _remove(folder, path)
    finally:
        os.close(lock)


def _remove(folder: Path, path: Path) -> None:
    """Remove a scratch folder that is locked here; its lock goes last, so that an interruption can be swept too."""
    old = folder / OLD
    if os.path.lexists(old) and not os.path.lexists(path):
        old.rename(path)
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child, ignore_errors=True)
        elif child.name != LOCK:
            child.unlink()
    (folder / LOCK).unlink()
    folder.rmdir()


def _take(lock: Path) -> int | None:
    """A new lock of this process; None if a sweep came in between."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileNotFoundError:
        return None
    try:
        _flock(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks: there nobody sweeps
        return descriptor
    if lock.exists():
        return descriptor
    os.close(descriptor)
    return None


def _flock(descriptor: int) -> None:
    """Lock a file, or raise OSError."""
    if sys.platform == "win32":
        raise OSError("no advisory locks")
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
