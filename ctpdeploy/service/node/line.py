"""Line: the receiving end of a connection, with an end to its patience.

pynetdicom 3.0.4 reads in pieces of 4 KiB, as many bytes as a peer announces, and waits for each piece anew
(``transport.AssociationSocket.recv``): who sends a byte now and then is waited for always.
"""

import socket
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Line"]

_HEADER: Final = 6
"""Bytes of the type and length of a PDU (PS3.8, 9.3.1)."""

_SLOWEST: Final = 64 * 1024
"""Bytes a second of the slowest line that is waited for."""

_AT_ONCE: Final = 2**16

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
"""Of Linux: acknowledge at once; it has to be asked for again and again (tcp(7))."""


class Line:
    """The receiving end of a socket.

    Args:
        connection: of which all waits are its own.
        longest: PDU that is taken, in bytes without its header.
        most: bytes of a message.
        stalled: s that a PDU may take beyond what the slowest line needs.
        clock: s, that only goes forward.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        longest: int,
        most: int,
        stalled: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._longest, self._most = connection, longest, most
        self._stalled, self._clock = stalled, clock
        self._of_message = 0

    def next_message(self) -> None:
        """A message is complete; what comes now is of the next."""
        self._of_message = 0

    def close(self) -> None:
        """Close the socket, which the package leaves open where its peer was the first to hang up."""
        self._connection.close()

    def receive(self, count: int) -> bytearray:
        """So many bytes, or fewer where the peer hung up.

        Raises:
            OSError: the peer announces more than was offered, sends more than is taken, or is too slow.
        """
        self._of_message += count
        if count > self._longest + _HEADER or self._of_message > self._most:
            raise OSError("the peer sends more than is taken")
        end = self._clock() + self._stalled + count / _SLOWEST
        taken = bytearray()
        while len(taken) < count:
            left = end - self._clock()
            if left <= 0:
                raise TimeoutError("the peer is too slow")
            self._connection.settimeout(left)
            if (
                _QUICKACK is not None
            ):  # DCMTK and those built on it hold a message's end back until its begin is acknowledged
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            piece = self._connection.recv(min(count - len(taken), _AT_ONCE))
            if not piece:
                break
            taken += piece
        self._connection.settimeout(self._stalled)  # of what is sent
        return taken
