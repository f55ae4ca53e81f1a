"""The listener: who is let in, what is taken, and that nobody who misbehaves is in others' way."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from support.archives import certificate
from support.nodes import NODE_TITLE, calling, node_config, send_images, until

from ctpdeploy.errors import UsageError
from ctpdeploy.service.node import listener
from ctpdeploy.service.node.events import Act, Event, Peer
from ctpdeploy.service.node.ledger import Ledger, StudyState
from ctpdeploy.service.node.listener import Listener
from ctpdeploy.service.node.reception import Reception
from ctpdeploy.service.node.settings import LimitConfig, ListenConfig, NodeConfig, SenderConfig
from ctpdeploy.service.node.spool import Spool


class Heard:
    """A listener with what stands behind it."""

    def __init__(self, config: NodeConfig) -> None:
        folder = Path(config.folder)
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.spool = Spool(folder / "spool", durable=False)
        self.reception = Reception(config, self.spool, self.ledger)
        self.notes: list[Event] = []
        self.listener = Listener(config, self.reception, note=self.notes.append)
        self.port = self.listener.port
        self._thread = threading.Thread(target=self.listener.serve)
        self._thread.start()

    def kept(self) -> list[Path]:
        return [path for key in self.spool.studies() for path in self.spool.images(key)]

    def close(self) -> None:
        self.listener.close()
        self._thread.join()
        self.ledger.close()


@contextmanager
def listening(folder: Path, **settings: Any) -> Iterator[Heard]:
    heard = Heard(node_config(folder, **settings))
    try:
        yield heard
    finally:
        heard.close()


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    with listening(tmp_path) as found:
        yield found


def echo(port: int, *, title: str = "CT1", called: str = NODE_TITLE) -> int | str:
    """Status of a C-ECHO, or what became of the association."""
    entity = AE(ae_title=title)
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.connection_timeout = 5
    with calling(entity, port, called=called) as association:
        if association.is_established:
            return int(association.send_c_echo().Status)
        return "rejected" if association.is_rejected else "cut"


def test_what_is_sent_is_kept_byte_for_byte(heard: Heard, scan: list[Path]):
    assert send_images(heard.port, scan[:6]) == 6 * [0x0000]
    sent = {dcmread(path).SOPInstanceUID: dcmread(path, stop_before_pixels=False) for path in scan[:6]}
    found = {one.SOPInstanceUID: one for one in map(dcmread, heard.kept())}
    assert found.keys() == sent.keys()
    assert all(found[uid] == sent[uid] for uid in sent)
    (study,) = heard.ledger.studies()
    assert study.state is StudyState.RECEIVING


def test_who_is_known_by_title_and_address_is_let_in(heard: Heard):
    assert echo(heard.port) == 0x0000


def test_who_is_not_is_not(heard: Heard, scan: list[Path]):
    assert echo(heard.port, title="CT9") == "rejected"
    assert echo(heard.port, called="OTHER") == "rejected"
    assert send_images(heard.port, scan[:1], title="CT9") == []
    assert heard.kept() == []
    noted = Event(act=Act.REFUSED, peer=Peer("CT9", "127.0.0.1"))
    assert heard.notes == [noted, Event(act=Act.REFUSED, peer=Peer("CT1", "127.0.0.1")), noted]


def test_a_title_from_the_address_of_another_is_told_that_it_may_not(tmp_path: Path, scan: list[Path]):
    """Title and address are both known, and not of one sender."""
    senders = (SenderConfig(title="CT1", address="10.0.0.1"), SenderConfig(title="CT2", address="127.0.0.0/8"))
    with listening(tmp_path, senders=senders) as heard:
        assert echo(heard.port, title="CT2") == 0x0000
        assert echo(heard.port, title="CT1") == 0x0124
        assert send_images(heard.port, scan[:1], title="CT1") == [0x0124]
        assert heard.kept() == []
        assert heard.notes == [Event(act=Act.REFUSED, peer=Peer("CT1", "127.0.0.1"))] * 2


def test_an_address_of_no_sender_is_hung_up_on(tmp_path: Path):
    strangers = (SenderConfig(title="CT1", address="10.0.0.1"),)
    with (
        listening(tmp_path, senders=strangers) as heard,
        socket.create_connection(("127.0.0.1", heard.port), timeout=5) as stranger,
    ):
        assert stranger.recv(1) == b""
        assert heard.notes == [Event(act=Act.REFUSED, peer=Peer(address="127.0.0.1"))]


def test_an_address_of_ipv4_that_comes_by_ipv6_is_known():
    assert listener._address("::ffff:10.0.0.1") in ipaddress.ip_network("10.0.0.0/24")
    assert listener._address("fe80::1%eth0") in ipaddress.ip_network("fe80::/10")
    assert listener._address("10.0.1.1") not in ipaddress.ip_network("10.0.0.0/24")


def test_copies_are_taken_once_and_others_of_their_uid_refused(heard: Heard, scan: list[Path], tmp_path: Path):
    other = dcmread(scan[0])
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(tmp_path / "other.dcm")
    assert send_images(heard.port, [scan[0], scan[0], tmp_path / "other.dcm"]) == [0x0000, 0x0000, 0x0111]
    (kept,) = heard.kept()
    assert dcmread(kept).PixelData == dcmread(scan[0]).PixelData


def test_an_object_of_no_series_is_refused(heard: Heard, scan: list[Path], tmp_path: Path):
    lost = dcmread(scan[0])
    del lost.SeriesInstanceUID
    lost.save_as(tmp_path / "lost.dcm")
    assert send_images(heard.port, [tmp_path / "lost.dcm", scan[1]]) == [0xA900, 0x0000]
    assert len(heard.kept()) == 1


def test_a_full_disk_is_said_to_the_sender(tmp_path: Path, scan: list[Path], monkeypatch: pytest.MonkeyPatch):
    with listening(tmp_path, limits=LimitConfig(free_mb=10)) as heard:
        monkeypatch.setattr(heard.spool, "free", lambda: 10 * 2**20)
        assert send_images(heard.port, scan[:1]) == [0xA700]
        monkeypatch.undo()

        def full(_: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(heard.spool, "receive", full)
        assert send_images(heard.port, scan[:1]) == [0xA700]
        assert heard.kept() == []


def test_a_study_without_end_is_refused_beyond_its_limit(tmp_path: Path, scan: list[Path]):
    with listening(tmp_path, limits=LimitConfig(study_images=3)) as heard:
        assert send_images(heard.port, scan[:5]) == [0, 0, 0, 0xA700, 0xA700]


def test_a_message_without_end_is_cut_off(tmp_path: Path, scan: list[Path]):
    with listening(tmp_path, limits=LimitConfig(instance_mb=1)) as heard:
        large = dcmread(scan[0])
        large.PixelData = bytes(3 * 2**20)
        large.save_as(tmp_path / "large.dcm")
        assert send_images(heard.port, [tmp_path / "large.dcm"]) == [-1]
        assert send_images(heard.port, scan[:1]) == [0x0000]
        assert len(heard.kept()) == 1


def test_those_who_say_nothing_are_cut_off_and_let_others_through(tmp_path: Path, scan: list[Path]):
    limits = LimitConfig(stalled_s=1.0, connections_of_sender=4)
    with listening(tmp_path, limits=limits) as heard:
        silent = [socket.create_connection(("127.0.0.1", heard.port), timeout=10) for _ in range(3)]
        silent[0].sendall(b"\x01\x00\x00\x00\xff\xff half of a request")
        silent[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert send_images(heard.port, scan[:2]) == [0, 0]
        for one in silent:
            while one.recv(4096):  # until it is closed
                pass
            one.close()
        until(lambda: echo(heard.port) == 0)


def test_one_sender_has_so_many_connections_and_no_more(tmp_path: Path):
    with listening(tmp_path, limits=LimitConfig(connections_of_sender=2, stalled_s=1.0)) as heard:
        held = [socket.create_connection(("127.0.0.1", heard.port), timeout=5) for _ in range(2)]
        until(lambda: echo(heard.port) == "cut")
        for one in held:
            one.close()
        until(lambda: echo(heard.port) == 0)


def test_tls_is_spoken_with_who_shows_a_certificate(tmp_path: Path):
    authority = certificate(tmp_path)
    listen = ListenConfig(port=0, tls_certificate=str(authority), tls_ca=str(authority))
    with listening(tmp_path, listen=listen, limits=LimitConfig(stalled_s=2.0)) as heard:
        with socket.create_connection(("127.0.0.1", heard.port)):  # who never shakes hands
            context = ssl.create_default_context(cafile=authority)
            context.load_cert_chain(authority)
            assert _echo_over(heard.port, context) == 0
            bare = ssl.create_default_context(cafile=authority)
            assert _echo_over(heard.port, bare) != 0
        assert echo(heard.port) != 0


def _echo_over(port: int, context: ssl.SSLContext) -> int | None:
    entity = AE(ae_title="CT1")
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.connection_timeout = 5
    with calling(entity, port, tls_args=(context, "127.0.0.1")) as association:
        return int(association.send_c_echo().Status) if association.is_established else None


def test_a_port_that_is_taken_is_said(heard: Heard, tmp_path: Path):
    config = node_config(tmp_path / "other", listen=ListenConfig(port=heard.port))
    with pytest.raises(UsageError, match="cannot be listened on"):
        Listener(config, heard.reception)


def test_certificates_that_are_none_are_said(tmp_path: Path, heard: Heard):
    (tmp_path / "x.pem").write_text("no certificate")
    listen = replace(ListenConfig(port=0), tls_certificate=str(tmp_path / "x.pem"))
    with pytest.raises(UsageError, match="cannot be used"):
        Listener(node_config(tmp_path, listen=listen), heard.reception)
