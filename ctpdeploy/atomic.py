"""Folders and files that appear under their name when they are complete, or not at all.

Whatever is killed, and whenever: under the name stands the whole old or the whole new, and what was not finished is
swept by the next process that writes there. What has appeared has reached the disk, so that a power failure leaves no
name without its content; only folders that can be made again may do without, as waiting for the disk takes long.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ctpdeploy.errors import UsageError
from ctpdeploy.scratch import NEW, OLD, Scratch, require_room

__all__ = ["atomic_file", "atomic_folder", "atomic_move", "atomic_replace", "require_writable"]

_TRIAL_BYTES: Final = 2**20

_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2
"""RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS."""


@contextmanager
def atomic_folder(folder: Path, *, replace: bool = False, durable: bool = True) -> Iterator[Path]:
    """A folder that appears under its name when the block ends, and leaves nothing behind if it fails.

    Files in it get the permissions that the user's umask gives, whatever wrote them.

    Args:
        folder: the name it gets.
        replace: take the place of an earlier one, which stays until the new one is complete. On Linux and macOS the
            two change places in one step; on a file system that cannot do that, a process killed between two steps
            leaves the name empty, and the next that writes there puts the earlier one back.
        durable: wait until all of it has reached the disk. What can be made again need not: then a power failure, and
            only that, can leave the name with files that are too short.

    Raises:
        UsageError: there is such a folder already and ``replace`` is off, or another process made it meanwhile.
    """
    if not replace:
        _refuse_existing(folder)
    with _scratch(folder) as scratch:
        content = scratch.folder / NEW
        content.mkdir()
        yield content
        _settle(content, scratch.file_mode, durable=durable)
        try:
            if not (replace and os.path.lexists(folder)):
                content.rename(folder)
            elif not _exchange(content, folder):
                folder.rename(scratch.folder / OLD)  # goes back with the scratch folder, should the next step fail
                content.rename(folder)
        except OSError as error:
            raise _made_meanwhile(folder) if not replace and folder.exists() else error from error
        if durable:
            _sync_folder(folder.parent)


def atomic_move(folder: Path, target: Path) -> None:
    """Give a folder another name, in the place of an earlier one if there is one; on a failure both stay.

    Raises:
        OSError: it cannot be moved.
    """
    with _scratch(target) as scratch:
        if os.path.lexists(target):
            target.rename(scratch.folder / OLD)  # goes back with the scratch folder, should the next step fail
        folder.rename(target)
        _sync_folder(folder.parent)
        _sync_folder(target.parent)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A file that appears under its name when the block ends, and leaves nothing behind if it fails.

    The path given lies in a folder of its own, where other things may be put meanwhile.

    Raises:
        UsageError: there is such a file already, or another process made it meanwhile.
    """
    _refuse_existing(file)
    with _scratch(file) as scratch:
        content = scratch.folder / NEW
        yield content
        _settle(content, scratch.file_mode)
        try:
            os.link(content, file)  # unlike a renaming, never over another
        except OSError:
            if file.exists():
                raise _made_meanwhile(file) from None
            content.rename(file)  # a file system without hard links
        _sync_folder(file.parent)


@contextmanager
def atomic_replace(file: Path, *, private: bool = False) -> Iterator[Path]:
    """A file that takes the place of an earlier one when the block ends; if it fails, the earlier one stays.

    Args:
        file: the name it gets.
        private: leave the permissions that it was made with, in place of those that the user's umask gives.
    """
    with _scratch(file) as scratch:
        content = scratch.folder / NEW
        yield content
        _settle(content, 0 if private else scratch.file_mode)
        content.replace(file)
        _sync_folder(file.parent)


def require_writable(out: Path) -> None:
    """Refuse a folder that cannot be written, before anything is computed; if it is not there it is not made yet.

    Raises:
        UsageError: it cannot, or the disk is full.
    """
    there = next(folder for folder in (out, *out.absolute().parents) if os.path.lexists(folder))
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        require_room(there, _TRIAL_BYTES)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror}): choose another place for it.") from error


@contextmanager
def _scratch(path: Path) -> Iterator[Scratch]:
    scratch = Scratch(path)
    try:
        yield scratch
    finally:
        scratch.remove()


def _settle(path: Path, file_mode: int, *, durable: bool = True) -> None:
    """Add permissions that a file, or files in a folder, lack, and bring all of it onto the disk."""
    if path.is_dir():
        for child in path.iterdir():
            _settle(child, file_mode, durable=durable)
        if durable:
            _sync_folder(path)
        return
    path.chmod(path.stat().st_mode | file_mode)  # safetensors and tempfile write for the owner alone
    if durable:
        with path.open("r+b") as stream:
            os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where that cannot be done."""
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(library.renamex_np(os.fsencode(one), os.fsencode(other), _EXCHANGE) == 0)
        renamed = library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    except (AttributeError, OSError, TypeError):  # another system, or an old C library
        return False
    return bool(renamed == 0)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists already: choose another name or remove it.")


def _made_meanwhile(path: Path) -> UsageError:
    return UsageError(f"{path} was made by another process meanwhile, and is whole: choose another name or remove it.")
