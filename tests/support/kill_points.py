"""A process killed before each step that it takes on the file system; for scripts of their own, since they fork."""

import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

STEPS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.chmod", "os.listdir", "os.scandir"}
"""Audit events: what a file system holds changes only between them."""


def killed_at_each_step(work: Callable[[], object]) -> Iterator[int]:
    """Do work in children, the first killed before its first step, the next before its second; the last is not.

    Yields after each with the number of its step.
    """
    for last in itertools.count(1):
        child = os.fork()
        if child == 0:
            _work_until(last, work)
        _, status = os.waitpid(child, 0)
        yield last
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def _work_until(last: int, work: Callable[[], object]) -> None:
    taken = 0

    def count(event: str, _: object) -> None:
        nonlocal taken
        if event in STEPS:
            taken += 1
            if taken == last:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001  of a child, which must not go on as its parent
        traceback.print_exc()
    os._exit(1)


def content(folder: Path) -> dict[str, bytes]:
    """The files in a folder, by their names; nothing where there is none."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}
