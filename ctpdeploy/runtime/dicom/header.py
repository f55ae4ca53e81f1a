"""Header: what stands before the pixels of a DICOM file, and where they begin.

Thousands of files make one scan, and pydicom takes almost a millisecond for each. So the elements of a file in little
endian are walked here, from one to the next, and only those wanted are kept; whatever is unusual in a file is left to
pydicom, of which this is the fast twin (PS3.5 section 7, PS3.10 section 7.1).
"""

import lzma
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from zipfile import BadZipFile
from zipfile import Path as ZipPath

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom
from ctpdeploy.runtime.dicom.tags import BINARY, Tag

__all__ = ["EXPLICIT_LITTLE", "IMPLICIT_LITTLE", "File", "Header", "pydicom_header", "read_bytes", "read_header"]

File = Path | ZipPath
"""A file on disk, or in an archive."""

_FAULTS: Final = (OSError, EOFError, RuntimeError, BadZipFile, lzma.LZMAError, zlib.error)
"""What reading raises, in archives also of what is encrypted, packed in a way that is not known, or damaged."""

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"

_BIG_OR_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})

_WANTED: Final = frozenset(int(tag) for tag in Tag)
_PIXELS: Final = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
_SYNTAX: Final = 0x00020010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a length of four bytes (PS3.5 table 7.1-1)."""

_UNDEFINED: Final = 0xFFFFFFFF
_FIRST_BYTES: Final = 2**14
"""Of a file, read at once: more than almost every header of a CT image has."""

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHI").unpack_from
_length = struct.Struct("<I").unpack_from


class _UnusualError(Exception):
    """The header is none for the fast way."""


class _ShortError(Exception):
    """The header goes on behind the bytes read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The wanted elements of a file.

    Attributes:
        file: it was read from.
        syntax: UID of its transfer syntax.
        values: of the elements in :class:`ctpdeploy.runtime.dicom.tags.Tag` that it has, as they lie there in little
            endian.
        pixels_at: offset of the first byte of uncompressed pixels; None where pydicom must read them, or there are
            none.
        pixels_length: number of their bytes.
    """

    file: File
    syntax: str
    values: Mapping[int, bytes]
    pixels_at: int | None
    pixels_length: int

    def text(self, tag: Tag) -> str:
        """The value of a text element, empty where there is none."""
        return _text(self.values.get(tag, b""))

    def words(self, tag: Tag) -> tuple[str, ...]:
        """The values of a text element of several."""
        return tuple(word.strip() for word in self.text(tag).split("\\")) if self.values.get(tag) else ()

    def numbers(self, tag: Tag) -> tuple[float, ...]:
        """The numbers of a text element, none where there are none, or where one is no number."""
        return _numbers(self.values.get(tag, b""))

    def integer(self, tag: Tag, default: int = 0) -> int:
        """The value of a binary element of two bytes, signed where the pixels are and it is one of them."""
        value = self.values.get(tag)
        if not value:
            return default
        signed = tag in (Tag.PADDING, Tag.PADDING_LIMIT) and self.values.get(Tag.SIGNED, b"\0")[:1] == b"\1"
        return int.from_bytes(value[:2], "little", signed=signed)


@lru_cache(4096)
def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(" \0")


@lru_cache(65536)
def _numbers(value: bytes) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in value.strip(b" \0").split(b"\\")) if value.strip(b" \0") else ()
    except ValueError:
        return ()


def read_header(file: File) -> Header | None:
    """The header of a file; None where the file is none of DICOM's.

    Args:
        file: with the preamble of 128 bytes that DICOM files begin with.

    Raises:
        InputError: the file cannot be read, ends within its header, or holds a data set without a preamble.
        MissingPackageError: it needs pydicom, which is not installed.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_FIRST_BYTES)
            if data[128:132] != b"DICM":
                if _is_bare(data):
                    raise InputError(f"{file} seems to be of DICOM and has no preamble: send it again as a DICOM file.")
                return None
            while True:
                try:
                    return _scan(file, data)
                except _ShortError:
                    more = stream.read(max(len(data), _FIRST_BYTES) * 3)
                    if not more:
                        break
                    data += more
                except _UnusualError:
                    break
    except _FAULTS as error:
        raise _unreadable(file, error) from error
    return pydicom_header(file)


def read_bytes(file: File) -> bytes:
    """The content of a file; of one in an archive, all of it by the checksum there.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return file.read_bytes()
    except _FAULTS as error:
        raise _unreadable(file, error) from error


def _unreadable(file: File, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error) or "it ends early"
    return InputError(f"{file} cannot be read ({reason}): check the path, or send it again.")


def _is_bare(data: bytes) -> bool:
    """Whether it begins as a data set does: with one of the first elements of group 2 or 8, of a plausible length."""
    if len(data) < 132 or data[:2] not in (b"\x02\0", b"\x08\0") or data[2] > Tag.SOP_INSTANCE & 0xFF or data[3]:
        return False
    return (data[4:6].isalpha() and data[4:6].isupper()) or data[5:8] == bytes(3)


def pydicom_header(file: File) -> Header:
    """The header of a file as pydicom reads it, slow and complete.

    Raises:
        InputError: pydicom cannot read it.
        MissingPackageError: pydicom is not installed.
    """
    try:
        with file.open("rb") as stream:
            dataset = pydicom().dcmread(stream, stop_before_pixels=True)
            values = {}
            for tag in _WANTED:
                if tag in dataset and (value := dataset[tag].value) is not None:
                    values[tag] = _bytes(tag, value)
            syntax = str(dataset.file_meta.TransferSyntaxUID)
    except MissingPackageError:
        raise
    except Exception as error:
        raise InputError(f"{file} is no readable DICOM file ({error}): send it again.") from error
    return Header(file=file, syntax=syntax, values=values, pixels_at=None, pixels_length=0)


def _bytes(tag: int, value: object) -> bytes:
    if tag in BINARY:
        return (int(value) & 0xFFFF).to_bytes(2, "little")  # type: ignore[call-overload]
    if isinstance(name := getattr(value, "original_string", None), bytes):  # of a person, in its own character set
        return name
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value).encode()
    return "\\".join(map(str, value)).encode()


def _scan(file: File, data: bytes) -> Header:
    syntax, at = _meta(data)
    if syntax in _BIG_OR_DEFLATED:
        raise _UnusualError
    values: dict[int, bytes] = {}
    explicit, end, depth, length = syntax != IMPLICIT_LITTLE, len(data), 0, 0
    while True:
        if at + 12 > end:
            raise _ShortError
        if explicit:
            group, element, kind, length = _explicit(data, at)
            tag, start = group << 16 | element, at + 8
            if group == 0xFFFE:
                (length,) = _length(data, at + 4)
            elif kind in _LONG:
                (length,) = _length(data, at + 8)
                start = at + 12
                if kind == b"UN" and length == _UNDEFINED:
                    raise _UnusualError  # its content is implicit
        else:
            group, element, length = _implicit(data, at)
            tag, start = group << 16 | element, at + 8
        if depth:
            if tag == _SEQUENCE_END:
                depth -= 1
            if tag in (_SEQUENCE_END, _ITEM_END) or (tag == _ITEM and length == _UNDEFINED):
                at = start
                continue
        elif tag in _PIXELS:
            break
        if length == _UNDEFINED:
            depth += 1
            at = start
            continue
        at = start + length
        if not depth and tag in _WANTED:
            if at > end:
                raise _ShortError
            values[tag] = data[start:at]
    plain = syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE) and length != _UNDEFINED and tag == 0x7FE00010
    return Header(
        file=file,
        syntax=syntax,
        values=values,
        pixels_at=start if plain else None,
        pixels_length=length if plain else 0,
    )


def _meta(data: bytes) -> tuple[str, int]:
    """The transfer syntax, and where the elements behind the file meta information begin."""
    at, syntax = 132, ""
    while at + 12 <= len(data):
        group, element, kind, length = _explicit(data, at)
        if group != 2:
            break
        start = at + 8
        if kind in _LONG:
            (length,) = _length(data, at + 8)
            start = at + 12
        at = start + length
        if group << 16 | element == _SYNTAX:
            syntax = data[start:at].decode("latin-1").strip(" \0")
    if not syntax:
        raise _UnusualError
    return syntax, at
