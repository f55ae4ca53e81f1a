"""TLS, with certificates that are believed and others, by both protocols."""

import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
from support.archives import Node, Web, certificate, dicom_node, web_service
from support.sealed_results import write_object

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service import (
    DicomAddress,
    DicomArchive,
    Instance,
    Patience,
    State,
    WebAddress,
    WebArchive,
    client_context,
    read_instance,
    send,
)
from ctpdeploy.service.archive import Archive, TransientError
from ctpdeploy.service.connection import fault_of

# pynetdicom 3.0.4 leaves the socket of a connection that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <s:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left to the collector is collected here, where it is expected."""
    yield
    gc.collect()


ONCE = Patience(tries=1)
Make = Callable[[int, ssl.SSLContext | None], Archive]


def by_c_store(port: int, tls: ssl.SSLContext | None) -> Archive:
    return DicomArchive(DicomAddress(title="ARCHIVE", host="127.0.0.1", port=port), tls=tls, timeout=5.0)


def by_stow(port: int, tls: ssl.SSLContext | None) -> Archive:
    return WebArchive(WebAddress(host="127.0.0.1", port=port, path="", secure=True), tls=tls, timeout=5.0)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    write_object(tmp_path / "a.dcm")
    return read_instance(tmp_path / "a.dcm")


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))
    return context


def answer(uid: str, _: int) -> tuple[int, bytes, dict[str, str]]:
    return 200, f'{{"00081199": {{"Value": [{{"00081155": {{"Value": ["{uid}"]}}}}]}}}}'.encode(), {}


def test_an_archive_whose_certificate_is_believed_gets_objects(
    tmp_path: Path, server: ssl.SSLContext, instance: Instance
):
    believing = client_context(tmp_path / "archive.pem")
    with dicom_node(Node(), tls=server) as node:
        archive = by_c_store(node.port, believing)
        assert send(archive, [instance], patience=ONCE)[0].state is State.STORED
        assert archive.protocol == "C-STORE over TLS"
    with web_service(Web(answer), tls=server) as web:
        assert send(by_stow(web.port, believing), [instance], patience=ONCE)[0].state is State.STORED


def test_one_that_is_not_believed_gets_nothing(server: ssl.SSLContext, instance: Instance):
    for tls in (client_context(), None):
        with web_service(Web(answer), tls=server) as web, pytest.raises(PeerError, match="--tls-ca") as error:
            send(by_stow(web.port, tls), [instance], patience=ONCE)
        assert not isinstance(error.value, TransientError)
        assert not web.requests
    with dicom_node(Node(), tls=server) as node, pytest.raises(PeerError, match="--tls-ca") as error:
        send(by_c_store(node.port, client_context()), [instance], patience=ONCE)
    assert not isinstance(error.value, TransientError)
    assert not node.received


def test_a_client_that_has_to_show_a_certificate_does(tmp_path: Path, server: ssl.SSLContext, instance: Instance):
    ours = tmp_path / "ours"
    ours.mkdir()
    mine = certificate(ours)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(mine)
    with dicom_node(Node(), tls=server) as node:
        shown = client_context(tmp_path / "archive.pem", mine)
        assert send(by_c_store(node.port, shown), [instance], patience=ONCE)[0].state is State.STORED
        with pytest.raises(PeerError):
            send(by_c_store(node.port, client_context(tmp_path / "archive.pem")), [instance], patience=ONCE)


@pytest.mark.parametrize("make", [by_stow, by_c_store])
def test_tls_to_a_port_without_it_is_an_error(instance: Instance, make: Make):
    with web_service(Web(answer)) as web, pytest.raises(PeerError, match=r"TLS|cannot be reached") as error:
        send(make(web.port, client_context()), [instance], patience=ONCE)
    assert not web.requests
    assert ("--tls" in str(error.value)) is (make is by_c_store)
    assert ("http://" in str(error.value)) is (make is by_stow)


@contextmanager
def drip(sent: bytes, pause: float) -> Iterator[int]:
    """A port at which all that is asked is answered by these bytes, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as peer:
                peer.recv(2**16)
                for byte in sent:
                    peer.send(bytes([byte]))
                    time.sleep(pause)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("tls", [True, False])
def test_an_answer_that_comes_byte_by_byte_is_none_in_time(instance: Instance, tls: bool):
    body, _ = answer(instance.uid, 0)[1:]
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    hello = b"\x16\x03\x03\x00\xff" + bytes(250)  # of a handshake
    with drip(hello if tls else whole, 0.02) as port:
        address = WebAddress(host="127.0.0.1", port=port, path="", secure=tls)
        archive = WebArchive(address, tls=client_context() if tls else None, timeout=0.5)
        with pytest.raises(TransientError, match="nothing answers in time"):
            send(archive, [instance], patience=ONCE)


def test_whoever_hangs_up_is_said_to_in_words(instance: Instance):
    with drip(b"", 0) as port, pytest.raises(TransientError, match="ended the connection without an answer"):
        send(WebArchive(WebAddress(host="127.0.0.1", port=port, path="", secure=False)), [instance], patience=ONCE)
    assert "it ends the connection" in str(fault_of(RemoteDisconnected(""), "x"))


def test_files_that_are_no_certificates_are_usage_errors(tmp_path: Path):
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(UsageError, match="no certificates"):
        client_context(tmp_path / "x.pem")
    with pytest.raises(UsageError, match="no certificates"):
        client_context(tmp_path / "nowhere.pem")
    for key in (None, tmp_path / "nowhere.pem"):
        with pytest.raises(UsageError, match="cannot be used"):
            client_context(None, tmp_path / "x.pem", key)
