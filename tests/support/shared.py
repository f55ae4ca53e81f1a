"""What all workers of a run of pytest share: made by the first that needs it, while the others wait."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["made_once"]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of the whole run; ``make`` is given a path beside it, which becomes the folder when it returns."""
    own = factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # as pytest-xdist lays them out
    folder = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = base / f"{name}.partial"
            make(partial)
            partial.rename(folder)
    return folder
