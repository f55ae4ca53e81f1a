"""The user's secret key, with which cached engines are signed.

It lies apart from the cache, so that a cache that is copied or shared does not bring the key to its own lock.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from ctpdeploy.errors import UsageError

__all__ = ["user_signing_key"]

_BYTES = 32
_UNFIT = b""


def user_signing_key(file: Path) -> bytes:
    """Read the secret, or make it; one that others could read, or that is damaged, is replaced.

    Of several processes that make it at once one wins, and all return the same.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        secret = _read(file)
        if secret == _UNFIT:  # where there was none, another process may have made one by now: that one stays
            file.unlink(missing_ok=True)
        if not secret:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(file)
            secret = _read(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be made ({error.strerror}): engines are only kept where it can.") from error
    if not secret:
        raise UsageError(f"{file} does not stay private to its owner: put it on a file system that keeps modes.")
    return secret


def _read(file: Path) -> bytes | None:
    """The secret; ``_UNFIT`` if it is not whole or not the owner's alone, None if there is none. Follows no links."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_size != _BYTES:
        return _UNFIT
    if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return _UNFIT
    return file.read_bytes()


def _make(file: Path) -> None:
    """Write a new secret; it appears whole, and only if there is none yet."""
    partial = file.with_name(f".{uuid4().hex}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_BYTES))
        with suppress(FileExistsError):
            os.link(partial, file)  # unlike a renaming it fails where another process was first
    finally:
        partial.unlink(missing_ok=True)
