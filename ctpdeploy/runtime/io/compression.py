"""Compressed files: by igzip of Intel's ISA-L where the package ``isal`` is installed, else by Python's own gzip.

Either reads what the other has written. Their bytes differ, but the bytes of each are the same from run to run.
"""

from io import BufferedIOBase
from pathlib import Path
from typing import Final

try:
    from isal import igzip as gzip
except ImportError:  # no wheel for this platform
    import gzip  # type: ignore[no-redef]

__all__ = ["IGZIP", "MOST_EXPANSION", "gzip_bytes", "open_gzip"]

IGZIP: Final = "isal" in gzip.__name__
"""Whether igzip is at work."""

MOST_EXPANSION: Final = 1032
"""Bytes that a compressed one can stand for: deflate repeats up to 258 of them by a pair of codes of one bit each."""

_LEVEL: Final = 1
"""Of 0 to 3 in igzip, of 0 to 9 in zlib: where this is about as small as any, more only takes longer."""


def open_gzip(path: Path) -> BufferedIOBase:
    """Open a ``.gz`` file for reading; members that follow one another read as one.

    The checksum of a member is compared when its end is read, and not before.
    """
    stream: BufferedIOBase = gzip.GzipFile(path, "rb")  # type: ignore[no-untyped-call]
    return stream


def gzip_bytes(content: bytes) -> bytes:
    """The content of a ``.gz`` file, without a date, so that equal contents are equal files."""
    return gzip.compress(content, _LEVEL, mtime=0)
