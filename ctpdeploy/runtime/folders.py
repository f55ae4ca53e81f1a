"""Folders that appear under their name when they are complete, or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctpdeploy.errors import UsageError

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder that appears under its name when the block ends, and leaves nothing behind if it fails.

    Args:
        folder: the name it gets.
        replace: take the place of an earlier one, which stays until the new one is complete.

    Raises:
        UsageError: there is such a folder already and ``replace`` is off.
    """
    if folder.exists() and not replace:
        raise UsageError(f"{folder} exists already: choose another name or remove it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        content = partial / "new"
        content.mkdir()
        yield content
        if folder.exists():
            folder.rename(partial / "old")
        content.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
