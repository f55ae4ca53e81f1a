"""Signatures of bundles: OpenSSF model signing with an elliptic key, offline.

Hashes in a manifest find accidents; whoever can edit a file can edit its hash too. The signature is what protects: it
covers the SHA-256 of every file of the bundle, and the public key comes another way than the bundle. It is kept as
``bundle.sig`` beside the files, in Sigstore's format, so that the ``model_signing`` command verifies it too.
"""

import base64
import contextlib
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.optional import require

if TYPE_CHECKING:
    from model_signing import hashing, signing, verifying

__all__ = ["SIGNATURE", "PublicKey", "check_signature", "require_public_key", "require_signing_key", "sign"]

SIGNATURE: Final = "bundle.sig"
EXTRA: Final = "sign"
MAX_BYTES: Final = 2**20

_KEY_HELP: Final = "make one with openssl ecparam -name prime256v1 -genkey -noout"

_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----\s+([0-9A-Za-z+/=\s]+?)-----END PUBLIC KEY-----\s*")
_LONGEST_KEY: Final = 2**14


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A public key in a file.

    Attributes:
        file: PEM.
        fingerprint: SHA-256 of its DER form, hexadecimal, as of ``openssl pkey -pubin -in FILE -outform DER``.
    """

    file: Path
    fingerprint: str

    @classmethod
    def of(cls, file: Path) -> "PublicKey":
        """The key in a file, as far as it can be read without the extra.

        Raises:
            UsageError: there is none.
        """
        if not file.is_file():  # nor is it waited at a pipe
            raise _no_public_key(file)
        try:
            with file.open("rb") as stream:
                content = stream.read(_LONGEST_KEY)
            (text,) = _PEM.findall(content)
            fingerprint = hashlib.sha256(base64.b64decode(b"".join(text.split()), validate=True)).hexdigest()
        except (OSError, ValueError) as error:
            raise _no_public_key(file) from error
        return cls(file=file, fingerprint=fingerprint)

    def __str__(self) -> str:
        return f"{self.file.name} (SHA-256 {self.fingerprint[:16]})"


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


def require_public_key(file: Path) -> PublicKey:
    """The key in a file, found to be one that can check signatures.

    Raises:
        MissingPackageError: model signing is not installed.
        UsageError: the file is no public key of an elliptic curve.
    """
    key = PublicKey.of(file)
    _verifier(key)
    return key


def check_signature(folder: Path, keys: Sequence[PublicKey], source: Path) -> PublicKey:
    """Refuse a folder whose files are not those that the owner of one of some keys has signed.

    Args:
        folder: where the files lie.
        keys: at least one.
        source: path of the bundle in error messages.

    Returns:
        The key of whoever signed it.

    Raises:
        MissingPackageError: model signing is not installed.
        UsageError: a file is no public key of an elliptic curve.
        InputError: the bundle is not signed, by another key, or not as it was signed.
    """
    names, verifiers = " or ".join(map(str, keys)), [_verifier(key) for key in keys]
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise InputError(
            f"{source} is not signed, and a signature is required, with {names}: get the signed one from its maker."
        )
    if signature.stat().st_size > MAX_BYTES:
        raise InputError(f"{source / SIGNATURE} is larger than {MAX_BYTES} bytes, which no signature is.")
    fault: Exception | None = None
    for key, verifier in zip(keys, verifiers, strict=True):
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the package prints its remarks
                verifier.set_hashing_config(_hashing()).verify(folder, signature)
        except Exception as error:
            if "Signature mismatch" in str(error):  # the package's words for a good signature over other files
                raise InputError(f"{source} was changed after it was signed: get it again from its maker.") from error
            fault = error
        else:
            return key
    raise InputError(
        f"{source} has a signature that is damaged or was not made with the key that belongs to {names}: get the "
        "bundle again from its maker."
    ) from fault


def _verifier(key: PublicKey) -> "verifying.Config":
    module = _model_signing("verifying")
    try:
        return module.Config().use_elliptic_key_verifier(public_key=key.file)
    except Exception as error:  # of the cryptography package, without a base of their own
        raise _no_public_key(key.file) from error


def _no_public_key(file: Path) -> UsageError:
    return UsageError(f"{file} is no public key of an elliptic curve in PEM: give the signer's.")


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
