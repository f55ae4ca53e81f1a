"""Callbacks of TensorRT: a logger that collects errors and a monitor that reports progress.

Both derive from classes of the package, which is imported late; hence the functions that make them.
"""

import threading
from collections.abc import Callable
from types import ModuleType

from ctpdeploy.runtime.backends.trt.packages import Native

__all__ = ["Progress", "collecting_logger", "progress_monitor"]

Progress = Callable[[str, float], None]
"""Called with what is going on and the share that is done, which never falls; from any thread."""


def collecting_logger(trt: ModuleType) -> Native:
    """A logger that keeps errors in ``errors``, one line each, since a failed call returns only None."""
    serious = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)

    class CollectingLogger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 insists on this form
            self.errors: list[str] = []

        def log(self, severity: object, text: str) -> None:
            if severity in serious:
                self.errors.append(" ".join(text.split()))

        def reasons(self) -> str:
            return "; ".join(self.errors) or "it gives no reason"

        def taken(self) -> str:
            """The errors since the last call."""
            errors, self.errors = self.errors, []
            return "; ".join(errors)

    return CollectingLogger()


def progress_monitor(trt: ModuleType, progress: Progress) -> Native:
    """A monitor that turns nested phases into one share.

    A phase of n steps is itself one step of its parent, so its share is (steps done + share of its child) / n.

    An exception in ``progress``, Ctrl-C among them, must not pass through TensorRT: it is kept in ``interruption``,
    and the build stops at its next step.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interruption: BaseException | None = None
            self._lock = threading.Lock()
            self._phases: dict[str, tuple[str | None, int, int]] = {}  # parent, steps, steps done
            self._share = 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            with self._lock:
                self._phases[name] = (parent, max(steps, 1), 0)
            self._report(name)

        def step_complete(self, name: str, step: int) -> bool:
            with self._lock:
                if name in self._phases:
                    parent, steps, _ = self._phases[name]
                    self._phases[name] = (parent, steps, min(step + 1, steps))
            self._report(name)
            return self.interruption is None

        def phase_finish(self, name: str) -> None:
            with self._lock:
                parent, _, _ = self._phases.pop(name, (None, 0, 0))
            if parent is None:
                self._report(name, finished=True)

        def _report(self, name: str, *, finished: bool = False) -> None:
            try:
                with self._lock:
                    self._share = max(self._share, 1.0 if finished else self._nested(name))
                    progress(name, self._share)
            except BaseException as error:  # noqa: BLE001 - raised again when the build has stopped
                self.interruption = error

        def _nested(self, name: str) -> float:
            share, phase = 0.0, self._phases.get(name)
            while phase is not None:
                parent, steps, done = phase
                share = min((done + share) / steps, 1.0)
                phase = self._phases.get(parent) if parent is not None else None
            return share

    return Monitor()
