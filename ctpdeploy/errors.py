"""Every exception of ctpdeploy, each with the exit code that the command line returns for it.

::

    CtpdeployError                  1   unexpected failure
    ├── UsageError                  2   the command or its configuration is wrong
    │   └── UnknownKeyError         2   a configuration key that does not exist
    ├── BatchError                  3   some cases of a batch failed, the others are done
    ├── InputError                  4   a file, case or bundle is refused
    ├── BackendError                5   a backend or an engine is not to be had
    │   ├── MissingPackageError     5   an optional package is not installed
    │   └── OutOfMemoryError        5   a device has not enough memory for the work given to it
    ├── GuardError                  6   numbers that may not be trusted
    │   └── GateError               6   an export that is not equal to its source
    └── PeerError                   7   another machine did not take what was sent to it

A message is one sentence: the fault, its place, and the remedy.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum

__all__ = [
    "BackendError",
    "BatchError",
    "CtpdeployError",
    "ExitCode",
    "GateError",
    "GuardError",
    "InputError",
    "MissingPackageError",
    "OutOfMemoryError",
    "PeerError",
    "UnknownKeyError",
    "UsageError",
    "install_with",
    "sentence_of",
]


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    BATCH = 3
    INPUT = 4
    BACKEND = 5
    GUARD = 6
    PEER = 7
    INTERRUPTED = 130  # 128 and the number of the signal, as shells count: SIGINT
    TERMINATED = 143  # SIGTERM


class CtpdeployError(Exception):
    """Base of all errors that ctpdeploy raises on purpose."""

    exit_code = ExitCode.FAILURE

    def __reduce__(self) -> tuple[object, ...]:
        # whatever its constructor takes, an error raised in a worker process arrives in its parent
        return _restore, (type(self), str(self))


def _restore(kind: type[CtpdeployError], message: str) -> CtpdeployError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


class UsageError(CtpdeployError, ValueError):
    """The command line or the configuration is wrong."""

    exit_code = ExitCode.USAGE


class UnknownKeyError(UsageError):
    """A configuration holds a key that no setting has; names the nearest one."""

    def __init__(self, key: str, known: Iterable[str], where: str) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(names)}."
        super().__init__(f"Unknown key '{key}' in {where}: {hint}")


class BatchError(CtpdeployError):
    """Some cases of a batch failed while the others were written."""

    exit_code = ExitCode.BATCH


class InputError(CtpdeployError, ValueError):
    """A file, a case or a bundle cannot be used as it is."""

    exit_code = ExitCode.INPUT


class BackendError(CtpdeployError, RuntimeError):
    """The requested backend does not work on this machine."""

    exit_code = ExitCode.BACKEND


class MissingPackageError(BackendError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"The package '{package}' is not installed: {install_with(extra)}.")


class OutOfMemoryError(BackendError):
    """A device has not enough memory for the work given to it; less may fit."""


class GuardError(CtpdeployError, ArithmeticError):
    """A result holds NaN or infinity, or a numeric check did not hold."""

    exit_code = ExitCode.GUARD


class GateError(GuardError):
    """The exported networks differ from the trained ones by more than allowed; nothing was published."""


class PeerError(CtpdeployError, RuntimeError):
    """Another machine, such as an archive, cannot be reached or did not take what was sent to it."""

    exit_code = ExitCode.PEER


def install_with(extra: str) -> str:
    """The remedy for what an extra brings, in words: where ctpdeploy is had from, only who installed it knows."""
    return f"install ctpdeploy with its extra {extra}"


def sentence_of(error: Exception) -> str:
    """Why a case is refused, in one sentence; an error that is not ours is named with its kind."""
    if isinstance(error, CtpdeployError):
        return str(error)
    return f"Unexpected {type(error).__name__} ({error}): please report it with the case's files."
