"""A bundle as one file, ``NAME.ctpbundle.zip``: a plain zip with the bundle's files at its top and nothing else.

Written with stored members in order, one date and one mode, so that equal bundles are equal bytes. Read as something a
stranger sent: names, kinds and sizes of all members are judged before the first is unpacked, into a private folder.
"""

import re
import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from ctpdeploy.atomic import atomic_file
from ctpdeploy.errors import InputError
from ctpdeploy.printable import printable
from ctpdeploy.scratch import NEW, Scratch

__all__ = ["Unpacked", "whole_archive"]

SUFFIX: Final = ".zip"
MAX_MEMBERS: Final = 40
MAX_MEMBER_BYTES: Final = 2**31 - 1
"""Protobuf's limit, and so that of an ONNX file."""
MAX_BYTES: Final = 2**32
MAX_RATIO: Final = 100
"""Weights hardly compress, JSON about tenfold; a bomb does a thousandfold."""

_MEMBER: Final = re.compile(r"[a-z][a-z0-9_]{0,40}\.(onnx|json|safetensors|sig)")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = stat.S_IFREG | 0o644
_UNIX: Final = 3
_ENCRYPTED: Final = 0x41  # of either kind
_CHUNK: Final = 2**20


@contextmanager
def whole_archive(file: Path) -> Iterator[Path]:
    """A folder whose files become one archive when the block ends; nothing is left behind if it fails.

    Raises:
        UsageError: there is such a file already.
    """
    with atomic_file(file) as partial:
        folder = partial.with_name("content")
        folder.mkdir()
        yield folder
        _pack(folder, partial)


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as written:
        for path in sorted(folder.iterdir()):
            member = zipfile.ZipInfo(path.name, _DATE)
            member.create_system, member.external_attr = _UNIX, _MODE << 16
            member.file_size = path.stat().st_size
            with path.open("rb") as source, written.open(member, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)


class Unpacked:
    """The content of an archive in a folder that only this user reads.

    The folder is there until ``remove`` is called; without that, it goes with this object or when Python ends.

    Args:
        archive: file to read.

    Raises:
        InputError: it is no archive of a bundle, or a dangerous one; nothing was written, or all of it is removed.
    """

    folder: Path

    def __init__(self, archive: Path) -> None:
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                reason = _refusal(members)
                if reason is not None:
                    raise InputError(f"{archive} is refused ({reason}): get the bundle again, from its maker.")
                scratch = Scratch(Path(tempfile.gettempdir()) / "ctpdeploy-bundle")
                self._removal = weakref.finalize(self, scratch.remove)
                self.folder = scratch.folder / NEW
                self.folder.mkdir(mode=0o700)
                for member in members:
                    _unpack(opened, member, self.folder / member.filename)
        except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            self.remove()
            raise InputError(f"{archive} is no whole zip of a bundle ({error}): copy or export it again.") from error

    def remove(self) -> None:
        """Remove the folder now."""
        if hasattr(self, "_removal"):
            self._removal()


def _refusal(members: Sequence[zipfile.ZipInfo]) -> str | None:
    """Reason to refuse an archive, as a clause, or None."""
    if len(members) > MAX_MEMBERS:
        return f"it has {len(members)} members, and no bundle more than {MAX_MEMBERS}"
    for member in members:
        reason = _member_refusal(member)
        if reason is not None:
            return reason
    folded = [member.filename.casefold() for member in members]
    if len(set(folded)) < len(folded):
        return f"two members are called '{next(name for name in folded if folded.count(name) > 1)}'"
    if sum(member.file_size for member in members) > MAX_BYTES:
        return f"it would unpack to more than {MAX_BYTES} bytes"
    ordered = sorted(members, key=lambda member: member.header_offset)
    if any(a.header_offset + a.compress_size > b.header_offset for a, b in pairwise(ordered)):
        return "its members overlap"
    return None


def _member_refusal(member: zipfile.ZipInfo) -> str | None:
    name = printable(member.orig_filename, 100)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if ".." in name or name.startswith(("/", "\\")) or ":" in name:
        return f"'{name}' would be unpacked outside of its folder"
    if kind not in (0, stat.S_IFREG):
        return f"'{name}' is a link or no file"
    if not _MEMBER.fullmatch(member.orig_filename.casefold()):
        return f"'{name}' is no file of a bundle"
    if member.flag_bits & _ENCRYPTED:
        return f"'{name}' is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"'{name}' is compressed in a way that bundles are not"
    if member.file_size > min(MAX_MEMBER_BYTES, MAX_RATIO * max(member.compress_size, 1)):
        return f"'{name}' would unpack to {member.file_size} bytes from {member.compress_size}"
    return None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write one member; zipfile gives no more bytes than were stated, and compares their checksum."""
    with archive.open(member) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
