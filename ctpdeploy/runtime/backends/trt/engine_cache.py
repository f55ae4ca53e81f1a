"""The cache of engines: files that only their maker can have written.

An engine is code that the GPU driver executes, so one that another user wrote must never be loaded. An entry is one
file::

    magic, 8 bytes | length of the facts, 8 bytes | facts, JSON | engine | HMAC-SHA256, 32 bytes

whose tag is over its key and all that stands before the tag, made with the user's secret key. The entry's own key ties
it to its name: a sound entry that is renamed to stand for another is refused too.
"""

import hashlib
import hmac
import json
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import uuid4

import platformdirs

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends.trt.cache_key import user_signing_key

__all__ = ["EngineCache", "Entry", "user_engine_cache"]

_MAGIC: Final = b"CTPENG1\n"
_LENGTH: Final = struct.Struct("<Q")
_TAG_BYTES: Final = hashlib.sha256().digest_size
_LONGEST_FACTS: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cached engine.

    Attributes:
        file: where it lies.
        facts: JSON, as given when it was kept.
        content: the engine.
    """

    file: Path
    facts: Mapping[str, Any]
    content: bytes


class EngineCache:
    """Signed entries in a folder, which several processes may share.

    Args:
        folder: made when the first entry is kept.
        signing_key: of the tags.
    """

    def __init__(self, folder: Path, signing_key: bytes) -> None:
        self._folder = folder
        self._signing_key = signing_key

    def file(self, key: str) -> Path:
        """File of the entry of a key, whether or not it exists."""
        return self._folder / f"{key}.engine"

    def read(self, key: str) -> Entry | None:
        """The entry of a key, or None.

        Raises:
            BackendError: there is one that must not be used.
        """
        file = self.file(key)
        try:
            with os.fdopen(_open_unlinked(file), "rb") as stream:
                return self._verified(file, key, stream)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unfit(file, error.strerror or str(error)) from error

    def write(self, key: str, facts: Mapping[str, Any], content: bytes) -> Entry:
        """Keep an entry, which replaces an earlier one when it is complete.

        Raises:
            UsageError: the folder cannot be written.
        """
        file = self.file(key)
        partial = file.with_name(f".{uuid4().hex}.partial")
        text = json.dumps(facts, sort_keys=True).encode()
        parts = (_MAGIC, _LENGTH.pack(len(text)), text, content)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.writelines([*parts, self._tag(key, *parts)])
                    stream.flush()
                    os.fsync(stream.fileno())  # or a power failure leaves the name without the content
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be written ({error.strerror}): name another --cache.") from error
        return Entry(file=file, facts=json.loads(text), content=content)

    def _verified(self, file: Path, key: str, stream: BinaryIO) -> Entry:
        """Read once, and use only what was verified: the file may change between two readings."""
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _unfit(file, "it is no file")
        if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o022):
            raise _unfit(file, "others can write it")
        start, length = stream.read(len(_MAGIC)), stream.read(_LENGTH.size)
        facts_bytes = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
        content_bytes = status.st_size - len(_MAGIC) - _LENGTH.size - facts_bytes - _TAG_BYTES
        if start != _MAGIC or facts_bytes > _LONGEST_FACTS or content_bytes < 0:
            raise _unfit(file, "it is damaged")
        text, content, tag = stream.read(facts_bytes), stream.read(content_bytes), stream.read()
        if not hmac.compare_digest(tag, self._tag(key, start, length, text, content)):
            raise _unfit(file, "it is damaged, or not what this user kept here")
        return Entry(file=file, facts=json.loads(text), content=content)

    def _tag(self, key: str, *parts: bytes) -> bytes:
        tag = hmac.new(self._signing_key, key.encode(), "sha256")
        for part in parts:
            tag.update(part)
        return tag.digest()


def user_engine_cache(folder: Path | None = None) -> EngineCache:
    """The cache of this user, in the system's folder for caches unless another is named.

    Raises:
        UsageError: there is no place for the secret key.
    """
    signing_key = user_signing_key(platformdirs.user_data_path("ctpdeploy", appauthor=False) / "engine-secret")
    return EngineCache(folder or platformdirs.user_cache_path("ctpdeploy", appauthor=False) / "engines", signing_key)


def _open_unlinked(file: Path) -> int:
    """Open a file, but no link, and without waiting at a pipe; not every system has all of these flags."""
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    return os.open(file, os.O_RDONLY | reduce(or_, flags))


def _unfit(file: Path, reason: str) -> BackendError:
    return BackendError(f"The cached engine {file} is not used, because {reason}: run ctpdeploy warmup.")
