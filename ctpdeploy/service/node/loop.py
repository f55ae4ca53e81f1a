"""Loop: what a thread of a node does for as long as the node runs, whatever goes wrong in between."""

import logging
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["Loop"]

_log = logging.getLogger(__package__)

_AFTER_A_FAILURE: Final = 5.0
"""Seconds before the next try, as of a disk that is full."""


class Loop:
    """One.

    Args:
        name: of it, in logs.
        step: does what there is to do, and returns the seconds after which it is worth looking again.

    Attributes:
        fault: what went wrong in the last step; empty where nothing did.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.name, self._step = name, step
        self.fault = ""
        self._stop, self._wake = threading.Event(), threading.Event()

    def run(self) -> None:
        """Step after step until ``stop``; a failure is logged, and is not the end."""
        while not self._stop.is_set():
            try:
                wait = self._step()
                self.fault = ""
            except Exception as error:  # noqa: BLE001  the next step may go well
                self.fault = f"unexpected {type(error).__name__} ({error})"
                _log.error("%s: %s", self.name, self.fault)
                wait = _AFTER_A_FAILURE
            if wait:
                self._wake.wait(wait)
                self._wake.clear()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self) -> None:
        """End ``run`` when the step at work is done."""
        self._stop.set()
        self._wake.set()
