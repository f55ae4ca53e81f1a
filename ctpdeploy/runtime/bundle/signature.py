"""Signatures of bundles: OpenSSF model signing with an elliptic key, offline.

Hashes in a manifest find accidents; whoever can edit a file can edit its hash too. The signature is what protects: it
covers the SHA-256 of every file of the bundle, and the public key comes another way than the bundle. It is kept as
``bundle.sig`` beside the files, in Sigstore's format, so that the ``model_signing`` command verifies it too.
"""

import contextlib
import io
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.optional import require

if TYPE_CHECKING:
    from model_signing import hashing, signing

__all__ = ["SIGNATURE", "check_signature", "require_signing_key", "sign"]

SIGNATURE: Final = "bundle.sig"
EXTRA: Final = "sign"
MAX_BYTES: Final = 2**20

_KEY_HELP: Final = "make one with openssl ecparam -name prime256v1 -genkey -noout"


def require_signing_key(private_key: Path, password: str | None = None) -> None:
    """Find out before the work that a key will not do.

    Raises:
        MissingPackageError: model signing is not installed.
        UsageError: the file is no private key that signs, or the password is not its own.
    """
    _signer(private_key, password)


def sign(folder: Path, private_key: Path, password: str | None = None) -> None:
    """Sign all files of a folder, into ``bundle.sig``.

    Raises:
        MissingPackageError, UsageError: as :func:`require_signing_key`.
    """
    _signer(private_key, password).set_hashing_config(_hashing()).sign(folder, folder / SIGNATURE)


def check_signature(folder: Path, public_key: Path, source: Path) -> None:
    """Refuse a folder whose files are not those that the owner of a key has signed.

    Args:
        folder: where the files lie.
        public_key: PEM file of an elliptic key.
        source: path of the bundle in error messages.

    Raises:
        MissingPackageError: model signing is not installed.
        UsageError: the file is no public key.
        InputError: the bundle is not signed, by another key, or not as it was signed.
    """
    verifying = _model_signing("verifying")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except Exception as error:  # of the cryptography package, without a base of their own
        raise UsageError(f"{public_key} is no public key of an elliptic curve in PEM: give the signer's.") from error
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise InputError(f"{source} is not signed, and a signature is required: get the signed one from its maker.")
    if signature.stat().st_size > MAX_BYTES:
        raise InputError(f"{source / SIGNATURE} is larger than {MAX_BYTES} bytes, which no signature is.")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints its remarks
            verifier.set_hashing_config(_hashing()).verify(folder, signature)
    except Exception as error:  # whatever is wrong with a signature, the bundle is refused
        if "Signature mismatch" in str(error):  # the package's words for a good signature over other files
            raise InputError(f"{source} was changed after it was signed: get it again from its maker.") from error
        raise InputError(
            f"{source} has a signature that is damaged or was not made with the key that belongs to {public_key.name}: "
            "get the bundle again from its maker."
        ) from error


def _signer(private_key: Path, password: str | None) -> "signing.Config":
    module = _model_signing("signing")
    try:
        return module.Config().use_elliptic_key_signer(
            private_key=private_key, password=password.encode() if password else None
        )
    except Exception as error:  # of the cryptography package, without a base of their own
        raise UsageError(
            f"{private_key} is no private key of an elliptic curve in PEM that can be read ({error}): {_KEY_HELP}."
        ) from error


def _hashing() -> "hashing.Config":
    """Every file but the signature itself, links refused; git's own files count as any other."""
    module = _model_signing("hashing")
    return module.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _model_signing(module: str) -> ModuleType:
    require("model_signing", extra=EXTRA)
    return require(f"model_signing.{module}", extra=EXTRA)
