"""Lines: patience and appetite have an end."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ctpdeploy.service.node.line import Line


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = socket.create_connection(server.getsockname())
        one, _ = server.accept()
    with one, other:
        yield one, other


def line(connection: socket.socket, **limits: float) -> Line:
    return Line(connection, **{"longest": 1000, "most": 5000, "stalled": 0.2, **limits})


def test_what_is_sent_arrives(pair: tuple[socket.socket, socket.socket]):
    pair[1].sendall(bytes(range(200)))
    assert line(pair[0]).receive(200) == bytes(range(200))


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="of Linux")
def test_a_sender_that_waits_for_its_first_half_to_be_acknowledged_waits_not(
    pair: tuple[socket.socket, socket.socket],
):
    """Before each piece is read the kernel is asked to acknowledge at once, which it forgets by itself."""
    asked: list[tuple[int, ...]] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(pair[0], name)

        def setsockopt(self, *option: int) -> None:
            asked.append(option)

        def recv(self, count: int) -> bytes:
            asked.append(())
            return pair[0].recv(count)

    pair[1].sendall(bytes(600))
    one = line(Watched())  # type: ignore[arg-type]
    one.receive(100)
    one.receive(500)
    assert asked[::2] == len(asked) // 2 * [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)]
    assert asked[1::2] == len(asked) // 2 * [()]


def test_who_hangs_up_is_no_error(pair: tuple[socket.socket, socket.socket]):
    pair[1].sendall(b"abc")
    pair[1].close()
    assert line(pair[0]).receive(10) == b"abc"


def test_who_says_nothing_is_not_waited_for(pair: tuple[socket.socket, socket.socket]):
    with pytest.raises(TimeoutError):
        line(pair[0]).receive(10)


def test_a_byte_now_and_then_is_not_enough(pair: tuple[socket.socket, socket.socket]):
    """Each comes before patience with one piece would end, all of them do not."""

    def drip() -> None:
        for _ in range(100):
            try:
                pair[1].send(b"x")
            except OSError:
                return
            time.sleep(0.05)

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(TimeoutError):
        line(pair[0]).receive(100)
    pair[0].close()
    thread.join()


def test_more_than_was_offered_is_not_read(pair: tuple[socket.socket, socket.socket]):
    with pytest.raises(OSError, match="more than is taken"):
        line(pair[0]).receive(1007)


def test_a_message_without_end_is_not_read(pair: tuple[socket.socket, socket.socket]):
    one = line(pair[0])
    for _ in range(5):
        pair[1].sendall(bytes(900))
        one.receive(900)
    with pytest.raises(OSError, match="more than is taken"):
        one.receive(900)
    one.next_message()
    pair[1].sendall(bytes(900))
    assert len(one.receive(900)) == 900
