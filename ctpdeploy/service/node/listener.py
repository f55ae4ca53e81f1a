"""Listener: C-STORE and C-ECHO, from the senders that are let in and from nobody else."""

import ipaddress
import logging
import socket
import ssl
from socketserver import BaseServer
from typing import TYPE_CHECKING, Any, Final

from ctpdeploy.errors import CtpdeployError, InputError, UsageError
from ctpdeploy.printable import printable
from ctpdeploy.service.node.events import Act, Event, Note, Peer, nobody_notes
from ctpdeploy.service.node.line import Line
from ctpdeploy.service.node.reception import FullError, OtherInstanceError, Reception
from ctpdeploy.service.node.settings import LimitConfig, ListenConfig, NodeConfig
from ctpdeploy.service.pynetdicom_quietly import pynetdicom

if TYPE_CHECKING:
    from pynetdicom.events import Event as PeerEvent
    from pynetdicom.transport import ThreadedAssociationServer

__all__ = ["Listener", "server_context"]

_log = logging.getLogger(__package__)

SUCCESS, NOT_AUTHORISED, DUPLICATE, OUT_OF_RESOURCES, NOT_OF_CLASS, CANNOT_UNDERSTAND = (
    *(0x0000, 0x0124, 0x0111),
    *(0xA700, 0xA900, 0xC000),
)
"""Statuses of C-STORE (PS3.4, table B.2-1, and PS3.7, annex C)."""

PDU: Final = 2**17
"""Bytes of the longest part of a message that the node offers to take."""


class Listener:
    """The server of a node; it listens from the start to ``close``.

    Args:
        config: of the node.
        reception: what is received goes to.
        note: takes down who is refused.

    Raises:
        MissingPackageError: pynetdicom is not installed.
        UsageError: the port cannot be listened on, or a certificate cannot be used.
    """

    def __init__(self, config: NodeConfig, reception: Reception, *, note: Note = nobody_notes) -> None:
        pynetdicom()
        from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, evt
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        _config.UNRESTRICTED_STORAGE_SERVICE = False
        self._config, self._reception, self._note = config, reception, note
        self._lines: dict[Any, Line] = {}
        entity = AE(ae_title=config.listen.title)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        entity.add_supported_context(Verification)
        entity.require_called_aet = True
        entity.require_calling_aet = [sender.title for sender in config.senders]
        entity.maximum_associations = config.limits.connections
        entity.maximum_pdu_size = PDU
        stalled = config.limits.stalled_s
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = stalled
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._open),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_REJECTED, self._refused),
        ]
        tls = server_context(config.listen)
        place = (config.listen.host, config.listen.port)
        server_class = _server_of(config, note)
        try:
            self._server = entity.make_server(
                place, ae_title=config.listen.title, evt_handlers=handlers, ssl_context=tls,
                server_class=server_class,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(
                f"{place[0]}:{place[1]} cannot be listened on ({error.strerror}): is another node running, or choose "
                "another port."
            ) from error
        self._entity = entity

    @property
    def port(self) -> int:
        """On which it listens."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Take connections until it is closed."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """End what is under way; who sends learns that not all was taken."""
        self._server.shutdown()
        for association in self._entity.active_associations:
            association.abort()
        self._server.server_close()
        for line in list(self._lines.values()):
            line.close()

    def _open(self, event: "PeerEvent") -> None:
        end: Any = event.assoc.dul.socket
        limits = self._config.limits
        end.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(end.socket, longest=PDU, most=limits.instance_mb * 2**20, stalled=limits.stalled_s)
        self._lines[event.assoc] = line
        end.recv = line.receive

    def _store(self, event: "PeerEvent") -> int:
        if not self._is_let_in(event):
            return NOT_AUTHORISED
        self._lines[event.assoc].next_message()
        request: Any = event.request
        try:
            self._reception.take(
                event.encoded_dataset(),
                sender=event.assoc,
                instance=str(request.AffectedSOPInstanceUID),
                peer=_peer(event),
            )
        except OtherInstanceError:
            return DUPLICATE
        except InputError:
            return NOT_OF_CLASS
        except (FullError, OSError) as error:
            _log.warning("an instance was not taken (%s)", type(error).__name__)
            return OUT_OF_RESOURCES
        except CtpdeployError:
            return CANNOT_UNDERSTAND
        return SUCCESS

    def _echo(self, event: "PeerEvent") -> int:
        return SUCCESS if self._is_let_in(event) else NOT_AUTHORISED

    def _closed(self, event: "PeerEvent") -> None:
        if line := self._lines.pop(event.assoc, None):
            line.close()
        self._reception.leave(event.assoc)

    def _refused(self, event: "PeerEvent") -> None:
        self._note(Event(act=Act.REFUSED, peer=_peer(event)))

    def _is_let_in(self, event: "PeerEvent") -> bool:
        """Whether the title belongs to the address: both alone have been looked at."""
        requestor = event.assoc.requestor
        address, title = _address(requestor.address), requestor.ae_title.strip()
        known = any(
            sender.title.strip() == title and address in ipaddress.ip_network(sender.address)
            for sender in self._config.senders
        )
        if not known:
            self._refused(event)
        return known


def server_context(config: ListenConfig) -> ssl.SSLContext | None:
    """TLS as a server; None where the node speaks without.

    Raises:
        UsageError: a certificate or a key cannot be used.
    """
    if not config.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key or None, password=_no_password)
        if config.tls_ca:
            context.load_verify_locations(config.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The certificate {config.tls_certificate}, its key or its authority cannot be used: give PEM files, the "
            "key without a password."
        ) from error
    return context


def _peer(event: "PeerEvent") -> Peer:
    requestor = event.assoc.requestor
    return Peer(printable(requestor.ae_title.strip()), requestor.address or "")


def _no_password() -> bytes:
    raise ValueError("a key with a password")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; one of IPv4 that came by IPv6 as what it is."""
    found = ipaddress.ip_address(host.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _server_of(config: NodeConfig, note: Note) -> "type[ThreadedAssociationServer]":
    """A server that hangs up on addresses of no sender, and on those that have too many connections."""
    from pynetdicom.transport import ThreadedAssociationServer

    networks = [ipaddress.ip_network(sender.address) for sender in config.senders]
    limits: LimitConfig = config.limits

    class Server(ThreadedAssociationServer):
        def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
            connection, address = self.socket.accept()  # type: ignore[union-attr]  # it listens
            if self.ssl_context:  # its first read does the handshake, which must not keep others waiting
                connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, address

        def verify_request(self, _: object, client_address: Any) -> bool:  # noqa: ANN401  of socketserver
            host = client_address[0]
            if not any(_address(host) in network for network in networks):
                _log.warning("a connection from an address of no sender was refused")
                note(Event(act=Act.REFUSED, peer=Peer(address=host)))
                return False
            open_now = [one.requestor.address for one in self.active_associations]
            if len(open_now) >= limits.connections or open_now.count(host) >= limits.connections_of_sender:
                _log.warning("a connection more than a sender may have was refused")
                note(Event(act=Act.REFUSED, peer=Peer(address=host)))
                return False
            return True

        def shutdown(self) -> None:
            BaseServer.shutdown(self)  # the package's own takes it out of a list that it is not in

    return Server
