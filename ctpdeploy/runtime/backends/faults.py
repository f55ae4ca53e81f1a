"""Faults of packages and engines that others wrote, as errors of ours: a sentence and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ctpdeploy.errors import BackendError, CtpdeployError
from ctpdeploy.printable import printable

__all__ = ["as_backend_error", "phrase"]

_LONGEST: Final = 300


@contextmanager
def as_backend_error(fault: str, remedy: str) -> Iterator[None]:
    """A block in which what others raise becomes an error of ours: ``FAULT (KIND: REASON): REMEDY``, with a stop.

    Args:
        fault: what went wrong and where, the beginning of a sentence.
        remedy: what to do, its end.

    Raises:
        CtpdeployError: as the block.
        BackendError: the block raised anything else; the packages' exceptions share no base class.
    """
    try:
        yield
    except CtpdeployError:
        raise
    except Exception as error:
        raise BackendError(f"{fault} ({type(error).__name__}: {phrase(error)}): {remedy}.") from error


def phrase(error: Exception) -> str:
    """What an exception says, in one line that is not too long and that a terminal can show."""
    return printable(" ".join(str(error).split()), _LONGEST).rstrip(" .") or "no reason given"
