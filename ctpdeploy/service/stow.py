"""STOW-RS: objects to a DICOMweb service, each in a request of its own (PS3.18, section 10.5).

By the HTTP of Python's own library: a client that decodes objects and encodes them again would not send what the file
holds, and a request that follows no redirection gives its token to nobody else.
"""

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from uuid import uuid4

from ctpdeploy import __version__
from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service.address import WebAddress
from ctpdeploy.service.archive import Outcome, State, TransientError
from ctpdeploy.service.connection import SLOWEST, client_context, fault_of, time_limit
from ctpdeploy.service.instance import Instance, chunks_of
from ctpdeploy.service.statuses import outcome_of_failure, outcome_of_status

__all__ = ["WebArchive"]

LONGEST_ANSWER: Final = 2**22
"""Bytes of an answer that are read."""

_LATER: Final = {408, 429, 502, 503, 504, 507}
"""HTTP statuses of what may go well later."""
_OF_ALL: Final = {401: "takes no requests without a token that it knows", 403: "does not allow this token to store"}
_NAMED, _FAILED, _UID, _REASON, _WARNING = "00081199", "00081198", "00081155", "00081197", "00081196"


class WebArchive:
    """A DICOMweb service.

    Args:
        address: of it; without https on this machine alone, unless it is allowed.
        token: for the Authorization header, as a bearer's, or with its scheme before it, as ``Basic dXNlcjpwYXNz``;
            empty for none.
        tls: how TLS is spoken; None for the system's certificates.
        timeout: s to wait for a connection, and for the answer to an object; large ones are given more to travel.
        plain: without https everything, patients and token too, may travel to other machines.

    Raises:
        UsageError: it is not this machine, is spoken to without https, and that is not allowed; or the token holds what
            no header can.
    """

    protocol = "STOW-RS"

    def __init__(
        self,
        address: WebAddress,
        *,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        plain: bool = False,
    ) -> None:
        if not (address.secure or address.local or plain):
            raise UsageError(
                f"{address} would be sent patients that all on the way can read: give its https address, or allow "
                "this one by --plain-http."
            )
        token = token.strip()
        if not token.isascii() or not token.isprintable():
            raise UsageError("The token is not one line of ASCII characters: check the file or the variable with it.")
        self.address = str(address)
        self._place, self._timeout = address, timeout
        self._context = (tls or client_context()) if address.secure else None
        self._headers = {"Accept": "application/dicom+json", "User-Agent": f"ctpdeploy/{__version__}"}
        if token:
            self._headers["Authorization"] = token if " " in token else f"Bearer {token}"

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        """Send objects, each once, over one connection while that lasts.

        Raises:
            TransientError: no connection, or one that ended.
            PeerError: the token is not taken, or there is no such service there.
            InputError: a file changed meanwhile.
        """
        connection = self._connection()
        try:
            for one in instances:
                status, answer = self._post(connection, one)
                yield self._judge(one, status, answer)
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        place = self._place
        if self._context is None:
            return HTTPConnection(place.host, place.port, timeout=self._timeout)
        return HTTPSConnection(place.host, place.port, timeout=self._timeout, context=self._context)

    def _post(self, connection: HTTPConnection, instance: Instance) -> tuple[int, bytes]:
        boundary = uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            **self._headers,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + instance.bytes + len(tail)),
        }
        try:
            if connection.sock is None:
                connection.connect()
            with time_limit(connection.sock, self._timeout + instance.bytes / SLOWEST):
                with suppress(BrokenPipeError, ConnectionResetError):  # it has answered before it had all
                    connection.request("POST", f"{self._place.path}/studies", _body(head, instance, tail), headers)
                response = connection.getresponse()
                return response.status, self._read(response)
        except HTTPException as error:
            raise TransientError(f"{self.address} ended the connection without an answer: try again later.") from error
        except OSError as error:
            raise fault_of(error, self.address) from error

    def _read(self, response: HTTPResponse) -> bytes:
        answer = response.read(LONGEST_ANSWER + 1)
        if len(answer) > LONGEST_ANSWER:
            raise PeerError(f"{self.address} answers at a length that no DICOMweb service needs: check the address.")
        return answer

    def _judge(self, instance: Instance, status: int, answer: bytes) -> Outcome:
        """By what the answer says of the object; a status of success alone is none of an object."""
        if status in _OF_ALL:
            raise PeerError(f"{self.address} {_OF_ALL[status]} (HTTP {status}): check --token-file.")
        if status in (404, 405) or 300 <= status < 400:
            raise PeerError(
                f"{self.address} is no DICOMweb service that stores (HTTP {status}): give the address to which "
                "/studies is added."
            )
        code, failed, named = f"HTTP {status}", State.REFUSED, _sequences(answer)
        for item in named[_FAILED]:
            if _value(item, _UID) in (instance.uid, None):
                return outcome_of_failure(instance, _number(item, _REASON, 0x0110))
        if status not in (200, 202):
            return Outcome(instance=instance, state=failed, status=code, remark="refused", transient=status in _LATER)
        for item in named[_NAMED]:
            if _value(item, _UID) == instance.uid:
                return outcome_of_status(instance, _number(item, _WARNING, 0))
        return Outcome(instance=instance, state=failed, status=code, remark="the answer does not name the object")


def _body(head: bytes, instance: Instance, tail: bytes) -> Iterator[bytes]:
    yield head
    yield from chunks_of(instance)
    yield tail


def _sequences(answer: bytes) -> dict[str, list[Mapping[str, Any]]]:
    """The items of the two sequences in an answer, none where it is no DICOM JSON."""
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        content = None
    content = content[0] if isinstance(content, list) and content else content
    found: dict[str, list[Mapping[str, Any]]] = {_NAMED: [], _FAILED: []}
    if isinstance(content, dict):
        for tag, items in found.items():
            held = content.get(tag)
            values = held.get("Value") if isinstance(held, dict) else None
            items += [item for item in (values if isinstance(values, list) else ()) if isinstance(item, dict)]
    return found


def _value(item: Mapping[str, Any], tag: str) -> Any:  # noqa: ANN401  whatever is in JSON
    held = item.get(tag)
    values = held.get("Value") if isinstance(held, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: Mapping[str, Any], tag: str, otherwise: int) -> int:
    value = _value(item, tag)
    return value & 0xFFFF if type(value) is int else otherwise  # and no bool, which is one of them
