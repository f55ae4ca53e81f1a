"""Pixels as a PNG file, compressed as volumes are.

Pillow tries five filters on each row and then compresses with zlib: ten times the time of igzip on rows as they are,
for a tenth of the size at most.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.deflate import zlib_bytes

__all__ = ["png_bytes"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BITS, _RGB = 8, 2


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """The content of a PNG file.

    Args:
        pixels: red, green and blue ``(rows, columns, 3)``.
    """
    rows, columns, _ = pixels.shape
    lines = np.zeros((rows, 1 + 3 * columns), dtype=np.uint8)  # each begins with its filter: 0, none
    lines[:, 1:] = pixels.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, _BITS, _RGB, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib_bytes(lines.tobytes()), b"IEND": b""}
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks.items())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
