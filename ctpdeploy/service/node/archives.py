"""The archives of a node, as its settings describe them."""

from pathlib import Path

from ctpdeploy.errors import UsageError
from ctpdeploy.service.address import DicomAddress, parse_address
from ctpdeploy.service.c_store import DicomArchive
from ctpdeploy.service.connection import client_context
from ctpdeploy.service.node.settings import ArchiveConfig
from ctpdeploy.service.stow import WebArchive

__all__ = ["open_archive"]


def open_archive(config: ArchiveConfig, title: str) -> DicomArchive | WebArchive:
    """The way to an archive; nothing is connected yet.

    Args:
        config: of it.
        title: AE title by which it is called, where it has none of its own.

    Raises:
        UsageError: a certificate, a key or a token cannot be used.
        MissingPackageError: pynetdicom is not installed.
    """
    address = parse_address(config.address)
    files = [Path(name) if name else None for name in (config.tls_ca, config.tls_certificate, config.tls_key)]
    if isinstance(address, DicomAddress):
        context = client_context(*files) if config.tls or any(files) else None
        return DicomArchive(address, title=config.title or title, tls=context, timeout=config.timeout_s)
    return WebArchive(
        address,
        token=_token(config.token_file),
        tls=client_context(*files),
        timeout=config.timeout_s,
        plain=config.plain_http,
    )


def _token(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} holds no token that can be read: give a file with one line of text.") from error
