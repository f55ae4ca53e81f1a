"""Server: a page on a real port, and connections that take too long or are too many."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ctpdeploy.errors import UsageError
from ctpdeploy.service.node.page import PageServer
from ctpdeploy.service.node.page.server import read_token
from ctpdeploy.service.node.settings import PageConfig


@pytest.fixture
def server(scene: Any) -> Iterator[PageServer]:
    made = PageServer(PageConfig(port=0), scene.subject)
    made.start()
    yield made
    made.close()
    assert not made.thread.is_alive()


@pytest.fixture
def hasty(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    """A server that waits for nobody."""
    monkeypatch.setattr("ctpdeploy.service.node.page.server._SECONDS", 0.3)
    made = PageServer(PageConfig(port=0), scene.subject)
    made.start()
    yield made
    made.close()


def test_it_answers_on_its_port(server: PageServer):
    with urlopen(f"{server.address}health", timeout=10) as answer:
        assert answer.status == 200
        assert "server" not in answer.headers
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{server.address}../../etc/passwd", timeout=10)


def test_whoever_is_said_to_ask_is_not_believed(server: PageServer):
    """As in headers of proxies, of which there is none by default."""
    asked = Request(
        f"{server.address}board", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4"}
    )
    with urlopen(asked, timeout=10) as answer:
        assert answer.status == 200


def test_a_port_that_is_taken_is_said(server: PageServer, scene: Any):
    with pytest.raises(UsageError, match="cannot be listened on for the page"):
        PageServer(PageConfig(port=server.port), scene.subject)


def test_a_server_that_never_ran_is_closed(scene: Any):
    made = PageServer(PageConfig(port=0), scene.subject)
    made.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
def test_who_says_nothing_is_hung_up_on(hasty: PageServer, sent: bytes):
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as line:
        line.sendall(sent)
        assert rest_of(line) == b""


def test_who_falls_silent_in_a_second_request_is_hung_up_on_too(hasty: PageServer):
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in line.recv(4096)
        line.sendall(b"GET")
        assert b"HTTP" not in rest_of(line)


def rest_of(line: socket.socket) -> bytes:
    taken = b""
    try:
        while piece := line.recv(4096):
            taken += piece
    except ConnectionResetError:
        pass
    return taken


def test_headers_without_end_are_refused(server: PageServer):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000)
        assert b"400" in line.recv(4096)


def test_too_many_connections_are_refused_and_the_page_comes_back(server: PageServer):
    lines = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(70)]
    with pytest.raises(HTTPError, match="503"):
        urlopen(f"{server.address}health", timeout=10)
    for line in lines:
        line.close()
    for _ in range(100):
        try:
            with urlopen(f"{server.address}health", timeout=10) as answer:
                assert answer.status == 200
                return
        except HTTPError:
            time.sleep(0.05)
    pytest.fail("it did not come back")


def test_a_token_is_read_and_a_short_one_refused(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("a token of enough letters\n")
    assert read_token(str(file)) == "a token of enough letters"
    file.write_text("short\n")
    with pytest.raises(UsageError, match="openssl rand"):
        read_token(str(file))
    with pytest.raises(UsageError, match="holds no token"):
        read_token(str(tmp_path / "none"))
