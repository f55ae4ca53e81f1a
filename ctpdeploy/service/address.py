"""Addresses: where an archive is, as a user writes it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ctpdeploy.errors import UsageError

__all__ = ["DicomAddress", "WebAddress", "parse_address", "require_title"]


@dataclass(frozen=True, kw_only=True)
class DicomAddress:
    """A DICOM node that is sent to by C-STORE.

    Attributes:
        title: its AE title.
        host: name or address of its machine.
        port: 1 to 65535.
    """

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.title}@{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class WebAddress:
    """A DICOMweb service that is sent to by STOW-RS.

    Attributes:
        host: name or address of its machine.
        port: 1 to 65535.
        path: of the service, without ``/studies`` and without a slash at its end.
        secure: whether it is spoken to by https.
    """

    host: str
    port: int
    path: str
    secure: bool

    @property
    def local(self) -> bool:
        """Whether it is on this machine, so that nothing travels."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


def parse_address(text: str) -> DicomAddress | WebAddress:
    """The address in ``TITLE@HOST:PORT``, ``https://HOST/PATH`` or ``http://HOST/PATH``.

    Raises:
        UsageError: it is none.
    """
    web = text.startswith(("https://", "http://"))
    if web and "@" in text:
        raise UsageError("A URL with a name and a password shows them to all: give them by --token-file instead.")
    try:
        if web:
            return _web(urlsplit(text))
        title, _, place = text.rpartition("@")
        found = urlsplit(f"//{place}")
        if not (found.hostname and found.port) or found.netloc != place:
            raise ValueError
    except ValueError as error:
        raise UsageError(
            f"'{text}' is no address of an archive: give TITLE@HOST:PORT, as PACS@10.0.0.5:104, or the URL of a "
            "DICOMweb service, as https://pacs.example/dicom-web."
        ) from error
    if not title.strip():
        raise UsageError(
            f"'{text}' names no AE title: give TITLE@{place} for C-STORE, as PACS@{place}, or the URL of a DICOMweb "
            f"service, as http://{place}/dicom-web."
        )
    return DicomAddress(title=require_title(title), host=found.hostname, port=found.port)


def require_title(title: str) -> str:
    """An AE title without the spaces around it, which mean nothing.

    Raises:
        UsageError: it is not of 1 to 16 printable ASCII characters without a backslash.
    """
    bare = title.strip()
    if not 1 <= len(bare) <= 16 or not bare.isascii() or not bare.isprintable() or "\\" in bare:
        raise UsageError(f"'{title}' is no AE title: give 1 to 16 ASCII characters without a backslash, as PACS.")
    return bare


def _web(found: SplitResult) -> WebAddress:
    if not found.hostname or found.query or found.fragment or found.port == 0:
        raise ValueError
    secure = found.scheme == "https"
    path = found.path.rstrip("/").removesuffix("/studies")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError
    return WebAddress(host=found.hostname, port=found.port or (443 if secure else 80), path=path, secure=secure)
