"""Archives in the process of the tests: a DICOM node and a DICOMweb service that answer as they are told."""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.dataset import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_role, evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

__all__ = ["Node", "Web", "certificate", "dicom_node", "web_service"]

PUSH_MODEL = StorageCommitmentPushModel


@dataclass
class Node:
    """A DICOM node: what it got, in order, and how it answers.

    Attributes:
        answer: status of a C-STORE by its event and how many there were before it.
        port: on which it listens.
        received: data sets by their UIDs, as they came.
        order: UIDs as they came, again and again.
        contexts: classes and transfer syntaxes that were asked for, an association each.
        titles: AE titles that called.
        reports_to: port to which reports on commitment are brought; None for the same association.
        action_status: of requests for commitment.
        rejection: result, source and reason for all who call; None to let them in.
        report: makes the report of the request, or None for none.
        report_status: what the other side said to the report.
    """

    answer: Callable[[evt.Event, int], int] = lambda *_: 0x0000
    port: int = 0
    received: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    contexts: list[list[tuple[str, list[str]]]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    action_status: int = 0x0000
    rejection: tuple[int, int, int] | None = None
    report: Callable[[Dataset], Dataset | None] | None = None
    reports_to: int | None = None
    report_status: list[int] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)

    def on_request(self, event: evt.Event) -> None:
        wanted = event.assoc.requestor.requested_contexts
        self.contexts.append([(str(one.abstract_syntax), list(map(str, one.transfer_syntax))) for one in wanted])
        self.titles.append(event.assoc.requestor.primitive.calling_ae_title.strip())
        if self.rejection is not None:
            event.assoc.acse.send_reject(*self.rejection)
            event.assoc.is_rejected = True
            event.assoc.kill()  # when that is sent

    def on_store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        number = len(self.order)
        self.order.append(uid)
        status = self.answer(event, number)
        if status >> 12 in (0, 0xB):
            self.received[uid] = event.request.DataSet.getvalue()
        return status

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        report = self.report(event.action_information) if self.report else None
        if report is not None and not self.action_status:
            bring = self._bring if self.reports_to is not None else self._answer_here
            self.threads.append(threading.Thread(target=bring, args=(event.assoc, report)))
            self.threads[-1].start()
        return self.action_status, None

    def on_sent(self, event: evt.Event) -> None:
        """The answer to a request for commitment has left, and a report may follow in the same association."""
        if self.threads and isinstance(event.pdu, P_DATA_TF):
            self.answered.set()

    def _answer_here(self, association: Any, report: Dataset) -> None:
        self.answered.wait()
        self._send(association, report)

    def _bring(self, _: Any, report: Dataset) -> None:
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(PUSH_MODEL)
        roles = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)]
        association = entity.associate("127.0.0.1", self.reports_to, ae_title="CTPDEPLOY", ext_neg=roles)
        self._send(association, report)
        association.release()

    def _send(self, association: Any, report: Dataset) -> None:
        kind = 2 if "FailedSOPSequence" in report else 1
        status, _ = association.send_n_event_report(report, kind, PUSH_MODEL, StorageCommitmentPushModelInstance)
        self.report_status.append(int(status.Status))


@contextmanager
def dicom_node(
    node: Node,
    *,
    classes: list[str] | None = None,
    syntaxes: list[str] | None = None,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Node]:
    """A node that is listening, for its own AE title, ARCHIVE, alone.

    Args:
        node: what it does.
        classes: that it takes; None for all of storage.
        syntaxes: in which; None for all.
        tls: None for none.
        port: 0 for any.
    """
    entity = AE(ae_title="ARCHIVE")
    entity.require_called_aet = True
    kinds = [str(one.abstract_syntax) for one in AllStoragePresentationContexts] if classes is None else classes
    for kind in kinds:
        entity.add_supported_context(kind, syntaxes or ALL_TRANSFER_SYNTAXES)
    if node.report or node.action_status:
        entity.add_supported_context(PUSH_MODEL)
    handlers = [
        (evt.EVT_REQUESTED, node.on_request),
        (evt.EVT_C_STORE, node.on_store),
        (evt.EVT_N_ACTION, node.on_action),
        (evt.EVT_PDU_SENT, node.on_sent),
    ]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
    node.port = server.socket.getsockname()[1]
    try:
        yield node
    finally:
        for thread in node.threads:
            thread.join()
        threading.Thread(target=server.shutdown).start()  # it takes half a second, which nobody has to wait for


@dataclass
class Web:
    """A DICOMweb service: what it got, and how it answers.

    Attributes:
        answer: HTTP status, body and headers more, by the UID in a request and how many there were before it.
        port: on which it listens.
        requests: path, headers and body of each.
    """

    answer: Callable[[str, int], tuple[int, bytes, dict[str, str]]]
    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def web_service(web: Web, *, tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A service that is listening."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):  # cut off: no request
                self.close_connection = True
                return
            number = len(web.requests)
            web.requests.append((self.path, dict(self.headers), body))
            status, answer, more = web.answer(_uid_in(body), number)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "archive")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "archive.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


def _uid_in(body: bytes) -> str:
    """The SOP Instance UID of the object in a body, by its element (0008,0018) in explicit VR."""
    start = body.index(b"\x08\x00\x18\x00UI", body.index(b"DICM")) + 8
    return body[start : start + int.from_bytes(body[start - 2 : start], "little")].rstrip(b"\0").decode()
