"""Trust: the keys whose owners' bundles this workstation opens.

::

    ~/.config/ctpdeploy/trusted/    a public key a file, trusted by this user       } on Linux; where each system
    /etc/xdg/ctpdeploy/trusted/     by everybody here, as an administrator has it   } keeps configuration otherwise

A bundle is opened if one of them signed it; where there is none at all, signatures are not asked for. What cannot be
read there is an error and never as good as nothing: whoever damages a key must not thereby take away the lock.
"""

import os
import stat
from enum import Enum
from pathlib import Path
from typing import Final

import platformdirs

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import UsageError
from ctpdeploy.home import PRIVATE, make_folder, user_config_folder
from ctpdeploy.runtime.bundle.signature import PublicKey, require_public_key

__all__ = ["ANYONE", "Signer", "Whoever", "distrust", "keys_of", "trust", "trusted_keys"]

_FOR_ALL: Final = 0o755


class Whoever(Enum):
    """Who has to have signed a bundle where it may be anyone."""

    ANYONE = "anyone"


ANYONE: Final = Whoever.ANYONE
"""In the place of a key: the bundle is opened whoever made it, though keys are trusted."""

Signer = Path | str | Whoever | None
"""Who has to have signed a bundle: the owner of a public key (PEM); :data:`ANYONE`; or, None, one of those whom this
workstation trusts, if it trusts any."""


def keys_of(signer: Signer) -> tuple[PublicKey, ...]:
    """The keys of which one has to have signed a bundle; none where it may be anyone.

    Raises:
        UsageError: a file is no public key, or the trusted ones cannot be read.
    """
    if isinstance(signer, Whoever):
        return ()
    return trusted_keys() if signer is None else (PublicKey.of(Path(signer)),)


def trusted_keys(*, machine: bool | None = None) -> tuple[PublicKey, ...]:
    """What this workstation trusts, the user's keys first.

    Args:
        machine: only what everybody here trusts, or only what this user does; None for both.

    Raises:
        UsageError: something that should be a key cannot be read or is none, or others than its owner can write it.
    """
    places = [place for place in (False, True) if machine in (None, place)]
    return tuple(key for place in places if (folder := _folder(place)) for key in _keys_in(folder))


def trust(file: Path, *, machine: bool = False) -> PublicKey:
    """Trust the owner of a key from now on.

    Args:
        file: PEM of an elliptic public key, which is copied.
        machine: for all users of the machine.

    Returns:
        The key where it is kept.

    Raises:
        MissingPackageError: model signing is not installed, so that nothing could be checked.
        UsageError: it is no public key, another one of its name is trusted, or there is no place where it can be kept.
    """
    key, folder = require_public_key(file), _folder(machine)
    if folder is None:
        raise UsageError("This user has no home to keep a trusted key in: trust it for the machine, with --machine.")
    kept = folder / file.name.lstrip(".")
    if os.path.lexists(kept) and PublicKey.of(kept).fingerprint != key.fingerprint:
        raise UsageError(f"{kept} is another key: give this one another name, or remove that first with --remove.")
    try:
        make_folder(folder, _FOR_ALL if machine else PRIVATE)
        with atomic_replace(kept, private=True) as partial:
            partial.write_bytes(file.read_bytes())
            partial.chmod(0o644 if machine else 0o600)  # whatever the umask is: what users cannot read locks them out
    except OSError as error:
        raise _unwritable(folder, error) from error
    return PublicKey.of(kept)


def distrust(name: str, *, machine: bool = False) -> Path:
    """Trust the owner of a key no longer.

    Args:
        name: of its file, its whole fingerprint, or the path of a copy of it.
        machine: among those of the machine.

    Returns:
        The file that was removed.

    Raises:
        UsageError: there is none, or it cannot be removed.
    """
    folder = _folder(machine)
    fingerprint = name if Path(name).name == name else _fingerprint(Path(name))
    for file in () if folder is None else _files_in(folder):
        if name == file.name or (fingerprint is not None and fingerprint == _fingerprint(file)):
            try:
                file.unlink()
            except OSError as error:
                raise _unwritable(file.parent, error) from error
            return file
    raise UsageError(
        f"No key '{name}' is trusted {'for the machine' if machine else 'by this user'}: ctpdeploy trust lists all."
    )


def _folder(machine: bool) -> Path | None:
    """Where the keys lie; None where this user has no home."""
    base = platformdirs.site_config_path("ctpdeploy", appauthor=False) if machine else user_config_folder()
    return None if base is None else base / "trusted"


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(
            f"The trusted keys in {folder} cannot be read ({error.strerror}): let this user read them, or remove them."
        ) from error


def _keys_in(folder: Path) -> list[PublicKey]:
    keys = [PublicKey.of(file) for file in _files_in(folder)]
    for path in (folder, *(key.file for key in keys)) if os.name == "posix" and keys else ():
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(f"{path} can be written by others, who could have trusted anyone: run chmod go-w {path}.")
    return keys


def _fingerprint(file: Path) -> str | None:
    try:
        return PublicKey.of(file).fingerprint
    except UsageError:  # what is damaged has a name still
        return None


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder} cannot be written ({error.strerror}): run this as one who may.")
