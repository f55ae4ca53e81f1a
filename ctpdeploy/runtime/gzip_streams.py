"""Gzip as fast as the machine has it: by igzip of Intel's ISA-L where the package ``isal`` is installed, else by zlib.

Both read each other's files; what they write differs in its bytes, but is the same from run to run.
"""

from io import BufferedIOBase
from pathlib import Path
from typing import Final

try:
    from isal import igzip as gzip
except ImportError:  # no wheel for this platform
    import gzip  # type: ignore[no-redef]

__all__ = ["FAST", "compress", "open_compressed"]

FAST: Final = gzip.__name__ != "gzip"
"""Whether igzip is at work."""

_LEVEL: Final = 1
"""Of 0 to 3 in igzip, of 0 to 9 in zlib: images of noise hardly shrink further, whatever the level."""


def open_compressed(path: Path) -> BufferedIOBase:
    """Open a ``.gz`` file for reading; members that follow one another read as one.

    The checksum of the last member is compared when the end is read, and not before.
    """
    stream: BufferedIOBase = gzip.GzipFile(path, "rb")  # type: ignore[no-untyped-call]
    return stream


def compress(content: bytes) -> bytes:
    """The content of a ``.gz`` file, without a date, so that equal contents are equal files."""
    return gzip.compress(content, _LEVEL, mtime=0)
