"""Connections: TLS as a client, an end to all waiting, and in words why there is none."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import Final

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service.archive import TransientError

__all__ = ["SLOWEST", "client_context", "diagnosis", "fault_of", "time_limit"]

SLOWEST: Final = 256 * 1024
"""Bytes a second at which an object is given time to travel, beside the time for an answer."""


def client_context(ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS that believes no archive without a certificate for its name.

    Args:
        ca: PEM of the certificates to believe instead of the system's.
        certificate: PEM by which this machine shows who it is, for archives that ask.
        key: its private key; None where it is in the same file.

    Raises:
        UsageError: one cannot be read, or certificate and key do not belong together.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise UsageError(f"{ca} holds no certificates to believe: give a PEM file.") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{certificate} and its key cannot be used: give a certificate and the private key that belongs to it, "
                "in PEM and without a password."
            ) from error
    return context


def fault_of(error: OSError, address: str) -> PeerError:
    """Why an archive cannot be reached, as the error to raise; transient unless it will stay so."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerError(
            f"{address} shows a certificate that is not believed ({error.verify_message}): give its authority by "
            "--tls-ca, and the name that the certificate is for."
        )
    if isinstance(error, ssl.SSLError) and error.reason:  # without one it was cut off
        reason = error.reason.replace("_", " ").lower()
        how = "whether its URL begins with http://" if address.startswith("https://") else "whether to leave --tls out"
        return PeerError(f"{address} and this machine agree on no TLS ({reason}): check its port, and {how}.")
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        return PeerError(f"{address} has a name that stands for no machine: check the address.")
    if isinstance(error, TimeoutError):
        reason = "nothing answers in time"
    elif isinstance(error, ConnectionError | ssl.SSLError) and not error.strerror:
        reason = "it ends the connection"
    else:
        reason = error.strerror or str(error)
    return TransientError(f"{address} cannot be reached ({reason.lower()}): check the address, and whether it runs.")


@contextmanager
def time_limit(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection off after some seconds, whatever still comes by it: its own timeout begins anew with every byte.

    Raises:
        TimeoutError: it was, in place of whatever that has caused.
    """
    over = Event()

    def cut() -> None:
        over.set()
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # the socket's: TLS's own would go on in the open

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError


def diagnosis(host: str, port: int, address: str, tls: ssl.SSLContext | None, timeout: float) -> PeerError:
    """Why a connection failed, by making it once more; whoever speaks DICOM does not tell.

    Args:
        host: of the archive.
        port: of the archive.
        address: as it may be shown.
        tls: None where it is spoken to without.
        timeout: s.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout) as plain:
            if tls is not None:
                tls.wrap_socket(plain, server_hostname=host).close()
    except OSError as error:
        return fault_of(error, address)
    return TransientError(f"{address} took no connection and would now: try again.")


def _no_password() -> str:
    raise ValueError("a key with a password")  # and no question on the terminal
