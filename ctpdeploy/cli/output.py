"""Output: stdout and stderr, which can be on a full disk, or closed by whoever read them.

A result that cannot be printed ends no command: what goes to files is done all the same, and said afterwards.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["Output", "guarded_output"]


class Output:
    """A stream that keeps its first fault for later and writes nothing after it.

    Args:
        stream: behind it; all but writing is its own.

    Attributes:
        fault: why something was not written; None where all was.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.fault: OSError | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the stream has
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as the stream does, or not at all."""
        if self.fault is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._end(error)
        return len(text)

    def flush(self) -> None:
        """Flush as the stream does, or not at all."""
        if self.fault is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._end(error)

    def _end(self, fault: OSError) -> None:
        """From now on nothing; also what is in the buffer still, which Python flushes when it ends, goes nowhere."""
        self.fault = fault
        with suppress(OSError, ValueError):  # a stream that is no file has no buffer to end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def guarded_output() -> Iterator[Output | None]:
    """Both streams of this process behind an :class:`Output` each; that of stdout, None where it is closed."""
    streams = sys.stdout, sys.stderr
    out, err = (Output(stream) if stream is not None else None for stream in streams)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        for guard in (out, err):
            if guard is not None:
                guard.flush()
        sys.stdout, sys.stderr = streams
