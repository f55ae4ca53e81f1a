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
import logging
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, BinaryIO, Final

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.caches import ENGINES, private_cache
from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.home import make_folder, user_data_folder
from ctpdeploy.runtime.backends.trt.cache_key import user_signing_key
from ctpdeploy.scratch import require_room

__all__ = ["EngineCache", "Entry", "SpareCache", "spare_engine_cache", "user_engine_cache"]

_log = logging.getLogger(__name__)

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
        text = json.dumps(facts, sort_keys=True).encode()
        parts = (_MAGIC, _LENGTH.pack(len(text)), text, content)
        try:
            make_folder(self._folder)
            with atomic_replace(file, private=True) as partial:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.writelines([*parts, self._tag(key, *parts)])
        except OSError as error:
            raise self._unwritable(error) from error
        return Entry(file=file, facts=json.loads(text), content=content)

    def require_room(self) -> None:
        """Find out before the building whether an engine can be kept.

        Raises:
            UsageError: the folder cannot be written.
        """
        try:
            make_folder(self._folder)
            require_room(self._folder, _LONGEST_FACTS)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(f"{self._folder} cannot be written ({error.strerror}): name another --cache.")

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


class SpareCache(EngineCache):
    """The cache of whoever can do without one: what cannot be kept is logged, and used all the same.

    Args:
        kept: the cache behind it; None where there is no place for one.
    """

    def __init__(self, kept: EngineCache | None) -> None:
        self._kept = kept

    def file(self, key: str) -> Path:
        """File of the entry of a key, whether or not it exists, or can."""
        return self._kept.file(key) if self._kept else Path(f"{key}.engine")

    def read(self, key: str) -> Entry | None:
        """The entry of a key, or None.

        Raises:
            BackendError: there is one that must not be used.
        """
        return self._kept.read(key) if self._kept else None

    def write(self, key: str, facts: Mapping[str, Any], content: bytes) -> Entry:
        """Keep an entry where that is possible."""
        if self._kept:
            try:
                return self._kept.write(key, facts, content)
            except UsageError as error:
                _log.warning("An engine is built and not kept. %s", error)
        return Entry(file=self.file(key), facts=json.loads(json.dumps(facts)), content=content)


def user_engine_cache(folder: Path | None = None) -> EngineCache:
    """The cache of this user, in the system's folder for caches unless another is named.

    Raises:
        UsageError: there is no place for it or for the secret key.
    """
    data, place = user_data_folder(), folder or private_cache(ENGINES)
    if data is None or place is None:
        raise UsageError("This user has no home, where the key lies that signs engines: warm up as one who has.")
    return EngineCache(place, user_signing_key(data / "engine-secret"))


def spare_engine_cache() -> SpareCache:
    """The cache of this user, or what stands for it where there is no place."""
    try:
        return SpareCache(user_engine_cache())
    except UsageError as error:
        _log.warning("Engines are built and not kept. %s", error)
        return SpareCache(None)


def _open_unlinked(file: Path) -> int:
    """Open a file, but no link, and without waiting at a pipe; not every system has all of these flags."""
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    return os.open(file, os.O_RDONLY | reduce(or_, flags))


def _unfit(file: Path, reason: str) -> BackendError:
    return BackendError(f"The cached engine {file} is not used, because {reason}: run ctpdeploy warmup.")
