"""App: what answers at each address, and that no address leads anywhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from ctpdeploy.service.node.events import Act
from ctpdeploy.service.node.page.app import page_app
from ctpdeploy.service.node.settings import PageConfig

TOKEN = "a token of enough letters"

Open = Callable[..., TestClient]


@pytest.fixture
def visit(scene: Any) -> Open:
    def opened(token: str = "") -> TestClient:
        app = page_app(PageConfig(port=8043), token, scene.subject)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(app, base_url="http://127.0.0.1:8043", headers=headers)

    return opened


def test_the_page_is_plain_and_loads_what_is_its_own(visit: Open):
    client = visit()
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Research use only" in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert client.get("/page.css").headers["content-type"].startswith("text/css")
    script = client.get("/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "innerHTML" not in script.text


def test_the_board_is_sent_once_for_what_has_not_changed(visit: Open, scene: Any):
    scene.study("a")
    client = visit()
    answer = client.get("/board")
    assert [study["key"] for study in answer.json()["studies"]] == ["a"]
    again = client.get("/board", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/board", headers={"If-None-Match": '"other"'}).status_code == 200


def test_results_are_seen_by_the_names_in_the_ledger(visit: Open, scene: Any):
    scene.study("a")
    client = visit()
    picture = client.get("/results/a/overview.png")
    assert (picture.content, picture.headers["content-type"]) == (b"\x89PNG of a", "image/png")
    assert client.get("/results/a/report.json").json()["lesion"] == {"volume_ml": 12.345}


@pytest.mark.parametrize(
    "address",
    [
        "/results/a/mask.nii.gz",
        "/results/a/",
        "/results/b/report.json",  # on the disk, and not in the ledger
        "/results/..%2Fresults%2Fa/report.json",
        "/results/%2e%2e/report.json",
        "/results/a%00/report.json",
        "/results/a/..%2f..%2fledger.sqlite",
        "/ledger.sqlite",
        "/page.js/../../__init__.py",
        "/assets/page.js",
        "/studies/a",
    ],
)
def test_no_address_leads_anywhere_else(visit: Open, scene: Any, address: str):
    scene.study("a")
    scene.write("b")
    answer = visit().get(address)
    assert answer.status_code == 404
    assert "Research use only" in answer.text


def test_a_result_that_was_removed_is_not_there(visit: Open, scene: Any):
    scene.study("a")
    (scene.results / "a" / "overview.png").unlink()
    assert visit().get("/results/a/overview.png").status_code == 404


def test_health_is_200_or_says_why_not(visit: Open, scene: Any):
    client = visit()
    assert client.get("/health").json()["healthy"] is True
    scene.faults = ["The thread 'listener' has ended."]
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["faults"] == scene.faults
    assert "Research use only" in answer.json()["intended_use"]


def test_metrics_are_text_for_prometheus(visit: Open):
    answer = visit().get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "ctpdeploy_node_studies{" in answer.text


def test_a_person_tries_again_and_that_is_written_down(visit: Open, scene: Any):
    scene.study("a", reason="No.")
    client = visit(TOKEN)
    assert client.get("/board").json()["changeable"]
    assert client.get("/studies/a/retry").status_code == 405
    ours = {"Origin": "http://127.0.0.1:8043"}
    assert client.post("/studies/a/retry", headers=ours).json()["tried_again"]
    assert scene.ledger.deliveries()[0].state == "waiting"
    (event,) = scene.notes
    assert (event.act, event.study, event.peer.name) == (Act.RETRIED, "a", "page")
    assert client.post("/studies/none/retry", headers=ours).status_code == 404
    assert len(scene.notes) == 1
