"""App: the addresses of the page, and what answers at each.

::

    /                              the page            /board      what it shows, as JSON
    /results/NAME/overview.png     of a result         /metrics    for Prometheus
    /results/NAME/report.json                          /health     200, or 503 with the reasons
    /studies/KEY/retry             POST: try again, as ctpdeploy node retry
"""

from functools import partial
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.report.writers import OVERVIEW, REPORT
from ctpdeploy.service.node.events import Act, Event, Peer
from ctpdeploy.service.node.page.board import Board
from ctpdeploy.service.node.page.guard import Guard
from ctpdeploy.service.node.page.metrics import CONTENT_TYPE, metrics
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.settings import PageConfig

__all__ = ["page_app"]

_ASSETS: Final = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.svg": ("page.svg", "image/svg+xml"),
}

_SHOWN: Final = {OVERVIEW: "image/png", REPORT: "application/json"}
"""Files of a result that may be seen."""


def page_app(config: PageConfig, token: str, subject: Subject) -> Starlette:
    """The page as an ASGI application.

    Args:
        config: of it.
        token: that requests must show; empty for none, and nothing can be changed.
        subject: of it.
    """
    board = Board(subject, changeable=bool(token))
    return Starlette(
        routes=[
            *(Route(path, partial(_asset, *asset)) for path, asset in _ASSETS.items()),
            Route("/board", partial(_board, board)),
            Route("/metrics", lambda _: Response(metrics(subject), media_type=CONTENT_TYPE)),
            Route("/health", partial(_health, subject)),
            *(Route(f"/results/{{name}}/{file}", partial(_file, subject, file)) for file in _SHOWN),
            Route("/studies/{key}/retry", partial(_retry, subject), methods=["POST"]),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=Guard(config, token))],
        exception_handlers={HTTPException: _nothing},
    )


def _asset(name: str, kind: str, _: Request) -> Response:
    return Response((files(__package__) / "assets" / name).read_bytes(), media_type=kind)


def _board(board: Board, request: Request) -> Response:
    content, tag = board.content()
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, media_type="application/json", headers={"ETag": tag})


def _health(subject: Subject, _: Request) -> Response:
    faults = subject.faults()
    values = {"healthy": not faults, "faults": faults, "intended_use": INTENDED_USE}
    return JSONResponse(values, 503 if faults else 200)


def _file(subject: Subject, file: str, request: Request) -> Response:
    """A file of a result that the ledger knows, under the name that it has there."""
    result = subject.ledger.result(request.path_params["name"])
    if result is None:
        raise HTTPException(404)
    try:
        content = (subject.results / result.name / file).read_bytes()
    except OSError as error:
        raise HTTPException(404) from error
    return Response(content, media_type=_SHOWN[file])


def _retry(subject: Subject, request: Request) -> Response:
    study = subject.ledger.study(request.path_params["key"])
    if study is None:
        raise HTTPException(404)
    found = subject.ledger.retry(study.key)
    if found:
        address = request.client.host if request.client else ""
        subject.note(Event(act=Act.RETRIED, study=study.key, peer=Peer("page", address)))
    return JSONResponse({"tried_again": found, "intended_use": INTENDED_USE})


def _nothing(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse(f"There is nothing here. {INTENDED_USE}\n", status)
