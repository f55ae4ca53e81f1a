"""Guard: who may ask, by which name, how much, and what a browser is told about the answers."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from ctpdeploy.service.node.page.app import page_app
from ctpdeploy.service.node.page.guard import COOKIE
from ctpdeploy.service.node.settings import PageConfig

TOKEN = "a token of enough letters"
OURS = {"Origin": "http://127.0.0.1:8043"}

Open = Callable[..., TestClient]


@pytest.fixture
def visit(scene: Any) -> Open:
    def opened(token: str = "", *, listen: str = "127.0.0.1", names: tuple[str, ...] = ()) -> TestClient:
        config = PageConfig(port=8043, host=listen, names=names, token_file="token" if token else "")
        app = page_app(config, token, scene.subject)
        return TestClient(app, base_url="http://127.0.0.1:8043", follow_redirects=False)

    return opened


ADDRESSES = ("/", "/page.css", "/page.js", "/page.svg", "/board", "/metrics", "/health", "/nothing")


@pytest.mark.parametrize("address", ADDRESSES)
def test_browsers_are_told_to_trust_nothing(visit: Open, address: str):
    headers = visit().get(address).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control")]


def test_other_sites_get_no_leave_to_read(visit: Open):
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = visit().request(method, "/board", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["127.0.0.1:8043", "127.0.0.1", "localhost:9", "LOCALHOST", "node.hospital"])
def test_it_answers_to_its_names(visit: Open, host: str):
    assert visit(names=("Node.hospital",)).get("/board", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8043",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "",
        "127.0.0.1@evil.example",
        "10.0.0.1",
        "[",
    ],
)
def test_another_name_is_none_of_its(visit: Open, host: str):
    """As where a name of another site has come to stand for this machine."""
    answer = visit().get("/board", headers={"Host": host})
    assert answer.status_code == 421
    assert "studies" not in answer.text


def test_a_page_on_all_addresses_is_asked_by_any_address_and_by_no_other_name(visit: Open):
    client = visit(TOKEN, listen="0.0.0.0", names=("node.hospital",))
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    hosts = {"10.0.0.7:8043": 200, "[fe80::1]:8043": 200, "node.hospital": 200, "evil.example": 421, "localhost": 421}
    assert {host: client.get("/board", headers={"Host": host}).status_code for host in hosts} == hosts


@pytest.mark.parametrize("address", ADDRESSES)
def test_with_a_token_nothing_is_shown_without(visit: Open, address: str):
    client = visit(TOKEN)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}={TOKEN}"}):
        answer = client.get(address, headers=headers)
        assert answer.status_code == 401
        assert "Research use only" in answer.text
    assert client.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_it(visit: Open):
    client = visit(TOKEN)
    assert client.get("/", params={"token": "wrong"}).status_code == 401
    answer = client.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/board").status_code == 200
    assert client.get("/", params={"token": TOKEN}).status_code == 303  # out of the address again


def test_another_token_is_another_cookie(visit: Open):
    first = visit(TOKEN)
    first.get("/", params={"token": TOKEN})
    kept = first.cookies[COOKIE]
    second = visit("another token of enough letters")
    assert second.get("/board", headers={"Cookie": f"{COOKIE}={kept}"}).status_code == 401


def test_nothing_changes_without_a_token(visit: Open, scene: Any):
    scene.study("a", reason="No.")
    assert visit().post("/studies/a/retry", headers=OURS).status_code == 403
    assert scene.ledger.deliveries()[0].state == "failed"


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", "http://127.0.0.1:9", "http://127.0.0.1", "file://127.0.0.1:8043",
     "http://127.0.0.1:8043.evil.example"],
)  # fmt: skip
def test_another_site_presses_no_button(visit: Open, scene: Any, origin: str):
    scene.study("a", reason="No.")
    client = visit(TOKEN)
    client.get("/", params={"token": TOKEN})
    answer = client.post("/studies/a/retry", headers={"Origin": origin} if origin else {})
    assert answer.status_code == 403
    assert scene.ledger.deliveries()[0].state == "failed"
    assert client.post("/studies/a/retry", headers=OURS).status_code == 200


def test_what_is_too_long_or_brings_something_is_not_read(visit: Open):
    client = visit()
    assert client.get(f"/{'a' * 2000}").status_code == 414
    assert client.get(f"/board?{'a' * 2000}").status_code == 414
    assert client.post("/studies/a/retry", content=b"a", headers=OURS).status_code == 413
    assert client.post("/studies/a/retry", content=iter([b"a"]), headers=OURS).status_code == 413


def test_an_answer_that_takes_too_long_is_none(visit: Open, scene: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctpdeploy.service.node.page.guard._SECONDS", 0.05)
    object.__setattr__(scene.subject, "free", lambda: time.sleep(0.5) or 1)
    answer = visit().get("/board")
    assert (answer.status_code, answer.headers["x-frame-options"]) == (503, "DENY")


def test_what_goes_wrong_is_not_told_to_visitors(visit: Open, scene: Any, caplog: pytest.LogCaptureFixture):
    def fails() -> int:
        raise RuntimeError("a secret")

    object.__setattr__(scene.subject, "free", fails)
    answer = visit().get("/board")
    assert (answer.status_code, answer.headers["x-frame-options"]) == (500, "DENY")
    assert "secret" not in answer.text
    assert "a secret" in caplog.text
