"""Folders and files that appear under their name when they are complete, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ctpdeploy.errors import UsageError

__all__ = ["atomic_file", "atomic_folder", "atomic_replace"]


@contextmanager
def atomic_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder that appears under its name when the block ends, and leaves nothing behind if it fails.

    Args:
        folder: the name it gets.
        replace: take the place of an earlier one, which stays until the new one is complete.

    Raises:
        UsageError: there is such a folder already and ``replace`` is off, or another process made it meanwhile.
    """
    if not replace:
        _refuse_existing(folder)
    with _place_beside(folder) as partial:
        content = partial / "new"
        content.mkdir()
        yield content
        if replace and folder.exists():
            folder.rename(partial / "old")
        try:
            content.rename(folder)
        except OSError as error:
            raise _made_meanwhile(folder) if folder.exists() else error from error


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A file that appears under its name when the block ends, and leaves nothing behind if it fails.

    The path given lies in a folder of its own, where other things may be put meanwhile.

    Raises:
        UsageError: there is such a file already, or another process made it meanwhile.
    """
    _refuse_existing(file)
    with _place_beside(file) as partial:
        content = partial / "new"
        yield content
        try:
            os.link(content, file)  # unlike a renaming, never over another
        except OSError:
            if file.exists():
                raise _made_meanwhile(file) from None
            content.rename(file)  # a file system without hard links


@contextmanager
def atomic_replace(file: Path) -> Iterator[Path]:
    """A file that takes the place of an earlier one when the block ends; if it fails, the earlier one stays."""
    partial = file.with_name(f".{file.name}.{uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        with suppress(OSError):  # the earlier failure is the cause
            partial.unlink()


@contextmanager
def _place_beside(path: Path) -> Iterator[Path]:
    """A hidden folder on the same file system, removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists already: choose another name or remove it.")


def _made_meanwhile(path: Path) -> UsageError:
    return UsageError(f"{path} was made by another process meanwhile, and is whole: choose another name or remove it.")
