"""Server: the page on its port, in a thread of its own."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any, Final

from ctpdeploy.errors import UsageError
from ctpdeploy.optional import require
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.settings import PageConfig

__all__ = ["PageServer", "read_token"]

_CONNECTIONS: Final = 64
"""Open at once."""

_SECONDS: Final = 15.0
"""From the end of one request of a connection to that of the next, sent and answered."""

_SHORTEST_TOKEN: Final = 16


class PageServer:
    """The server of a page; it listens from the start to ``close``.

    Args:
        config: of it, with a port.
        subject: of it.

    Raises:
        UsageError: the port cannot be listened on, or the token cannot be read.
        MissingPackageError: starlette or uvicorn is not installed.
    """

    def __init__(self, config: PageConfig, subject: Subject) -> None:
        require("starlette", extra="node")
        uvicorn = require("uvicorn", extra="node")
        from ctpdeploy.service.node.page.app import page_app

        app = page_app(config, read_token(config.token_file) if config.token_file else "", subject)
        self._socket, self._host = _listening(config), config.host
        settings = uvicorn.Config(
            app,
            http=_protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is who asks
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=16 * 1024,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self._run, name="page", daemon=True)

    @property
    def port(self) -> int:
        """On which it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """URL at which it is seen from this machine."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/"

    def start(self) -> None:
        """Begin to answer."""
        self.thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        if self.thread.ident is not None:
            self.thread.join(timeout=10.0)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def read_token(file: str) -> str:
    """The token in a file.

    Raises:
        UsageError: there is none, or one that can be guessed.
    """
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} holds no token that can be read: give a file with one line of text.") from error
    if len(token) < _SHORTEST_TOKEN:
        raise UsageError(
            f"The token in {file} has fewer than {_SHORTEST_TOKEN} characters: make one by openssl rand -hex 24."
        )
    return token


def _listening(config: PageConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((config.host, config.port or 0))
        found.listen()
    except OSError as error:
        found.close()
        raise UsageError(
            f"{config.host}:{config.port} cannot be listened on for the page ({error.strerror}): choose another port."
        ) from error
    return found


def _protocol() -> type[asyncio.Protocol]:
    """HTTP of connections that end when they take too long, of which uvicorn 0.54 has none but between requests."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        _end: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:  # noqa: ANN401  of asyncio
            super().connection_made(transport)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._end:
                self._end.cancel()

        def _wait(self) -> None:
            if self._end:
                self._end.cancel()
            self._end = self.loop.call_later(_SECONDS, self.transport.abort)

    return Protocol
