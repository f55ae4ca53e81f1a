"""Guard: who may ask the page, and what a browser may do with its answers.

Another site that a visitor has open can make a browser ask this one. It cannot read the answers (no CORS), it cannot
take this page's place by a name of its own (the ``Host`` is checked), it cannot frame it, and it cannot press its
buttons (the ``Origin`` is checked, and the cookie stays away).
"""

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from ctpdeploy import INTENDED_USE
from ctpdeploy.service.node.settings import PageConfig

__all__ = ["COOKIE", "Guard"]

_log = logging.getLogger(__package__)

COOKIE: Final = "ctpdeploy_node"

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # what is seen here is no browser's to keep
}

_LONGEST_TARGET: Final = 1024
"""Characters of a path with its query."""

_SECONDS: Final = 10.0
"""For an answer."""

_ENTER: Final = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>ctpdeploy node</title>
<p>{INTENDED_USE}</p>
<form action="/"><label>Token <input name="token" type="password" autocomplete="current-password" required></label>
<button>Enter</button></form></html>
"""

_Answer = Callable[[Request], Awaitable[Response]]


class Guard:
    """The guard of a page.

    Args:
        config: of it.
        token: that every request must show; empty for none.
    """

    def __init__(self, config: PageConfig, token: str) -> None:
        self._token = token.encode()
        # what a browser keeps is not the token itself
        self._cookie = hmac.new(self._token, COOKIE.encode(), sha256).hexdigest()
        self._names = {config.host, *(name.lower() for name in config.names)}
        address = ipaddress.ip_address(config.host)
        self._any_address = address.is_unspecified
        if address.is_loopback:
            self._names.add("localhost")

    async def __call__(self, request: Request, answer: _Answer) -> Response:
        """An answer, or why there is none."""
        try:
            async with asyncio.timeout(_SECONDS):
                response = self._refusal(request) or await answer(request)
        except TimeoutError:
            response = _words("This took too long: look again.", 503)
        except Exception as error:  # noqa: BLE001  of this request alone
            _log.error("page: unexpected %s (%s)", type(error).__name__, error)
            response = _words("Something unexpected happened: the log of the node says what.", 500)
        response.headers.update(_HEADERS)
        return response

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.getlist("host")
        if len(host) != 1 or not self._is_ours(host[0]):
            return _words("This page is not asked by that name: give it in names of [page].", 421)
        if len(request.url.path) + len(request.url.query) > _LONGEST_TARGET:
            return _words("No page has so long an address.", 414)
        if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            return _words("Nothing is taken here.", 413)
        if self._token and (entrance := self._entrance(request)):
            return entrance
        if request.method not in ("GET", "HEAD"):
            return self._change(request, host[0])
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a ``Host`` is one of those that were configured; an address is nobody's name, whatever a DNS says."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or (self._any_address and bool(ipaddress.ip_address(name)))
        except ValueError:
            return False

    def _is_known(self, request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token)
        return bearer or hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie.encode())

    def _entrance(self, request: Request) -> Response | None:
        """By ``/?token=...``, which leaves the address at once; else a place to give it, for who is not in yet."""
        shown = request.query_params.get("token", "") if request.url.path == "/" else ""
        if hmac.compare_digest(shown.encode(), self._token):
            response = RedirectResponse("./", 303)
            response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict")
            return response
        return None if self._is_known(request) else HTMLResponse(_ENTER, 401, {"WWW-Authenticate": "Bearer"})

    def _change(self, request: Request, host: str) -> Response | None:
        """Why a request that would change something may not."""
        if not self._token:
            return _words("This page changes nothing without a token: give a token_file in [page].", 403)
        origin = urlsplit(request.headers.get("origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc != host:
            return _words("Another site may not change anything here.", 403)
        return None


def _words(sentence: str, status: int) -> Response:
    return PlainTextResponse(f"{sentence} {INTENDED_USE}\n", status)
