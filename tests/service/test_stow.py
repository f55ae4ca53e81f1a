"""STOW-RS to a small service in this process."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from support.archives import Web, web_service
from support.sealed_results import CLASSES, write_object

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service import Instance, Outcome, Patience, State, WebAddress, WebArchive, read_instance, send, stow
from ctpdeploy.service.archive import TransientError

Answer = tuple[int, bytes, dict[str, str]]


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    for name, kind in {"a": "overview", "b": "segmentation"}.items():
        write_object(tmp_path / f"{name}.dcm", CLASSES[kind])
    return [read_instance(tmp_path / f"{name}.dcm") for name in "ab"]


def archive_at(web: Web, **options: Any) -> WebArchive:
    address = WebAddress(host="127.0.0.1", port=web.port, path="/dicom-web", secure=False)
    return WebArchive(address, **{"timeout": 5.0, **options})


def deliver(archive: WebArchive, instances: list[Instance], tries: int = 3) -> list[Outcome]:
    return send(archive, instances, patience=Patience(tries=tries, first_wait=0.01))


def said(stored: dict[str, int | None], failed: dict[str, int], status: int = 200) -> Answer:
    """An answer that names objects: those stored with the reason of a warning or None, those failed with theirs."""
    content = {
        "00081190": {"vr": "UR", "Value": ["http://archive/studies/1"]},
        "00081199": {"vr": "SQ", "Value": [named(uid, "00081196", reason) for uid, reason in stored.items()]},
        "00081198": {"vr": "SQ", "Value": [named(uid, "00081197", reason) for uid, reason in failed.items()]},
    }
    return status, json.dumps(content).encode(), {"Content-Type": "application/dicom+json"}


def named(uid: str, tag: str, reason: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return item if reason is None else {**item, tag: {"vr": "US", "Value": [reason]}}


def well(uid: str, _: int = 0) -> Answer:
    return said({uid: None}, {})


def test_objects_arrive_byte_for_byte_each_in_a_request(instances: list[Instance]):
    with web_service(Web(well)) as web:
        outcomes = deliver(archive_at(web), instances)
    assert [(one.state, one.status, one.remark) for one in outcomes] == 2 * [(State.STORED, "0000", "")]
    for (path, headers, body), instance in zip(web.requests, instances, strict=True):
        kind, boundary = headers["Content-Type"].split("; boundary=")
        assert (path, kind) == ("/dicom-web/studies", 'multipart/related; type="application/dicom"')
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        assert body == head + instance.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        assert headers["Accept"] == "application/dicom+json"
        assert "Authorization" not in headers


@pytest.mark.parametrize(("token", "header"), [("abc.def", "Bearer abc.def"), (" Basic dTpw\n", "Basic dTpw")])
def test_a_token_is_a_bearers_or_has_its_scheme(instances: list[Instance], token: str, header: str):
    with web_service(Web(well)) as web:
        deliver(archive_at(web, token=token), instances)
    assert {headers["Authorization"] for _, headers, _ in web.requests} == {header}


@pytest.mark.parametrize("token", ["a\nX-Evil: 1", "tökén"])
def test_a_token_that_is_no_header_is_refused_and_not_repeated(token: str):
    with pytest.raises(UsageError, match="token is not one line") as error:
        archive_at(Web(well, port=1), token=token)
    assert token not in str(error.value)


def test_an_object_is_stored_if_it_is_named_and_not_failed(instances: list[Instance]):
    def mixed(uid: str, number: int) -> Answer:
        return said({}, {uid: 0xA900}) if number == 0 else said({uid: 0xB000}, {}, status=202)

    with web_service(Web(mixed)) as web:
        outcomes = deliver(archive_at(web), instances)
    assert [(one.state, one.status) for one in outcomes] == [(State.REFUSED, "a900"), (State.STORED, "b000")]
    assert [one.remark for one in outcomes] == ["it does not match its SOP class", "elements were coerced"]
    assert len(web.requests) == 2


def test_a_conflict_is_refused_for_its_reason(instances: list[Instance]):
    with web_service(Web(lambda uid, _: said({}, {uid: 0x0110}, status=409))) as web:
        outcomes = deliver(archive_at(web), instances)
    assert {(one.state, one.status, one.remark) for one in outcomes} == {(State.REFUSED, "0110", "processing failed")}


@pytest.mark.parametrize("status", [200, 202, 409])
@pytest.mark.parametrize("reason", [0, 1, 0x0107, 0x0116, 0xB000, True, "0", 2**16])
def test_what_is_named_as_failed_is_never_stored(instances: list[Instance], status: int, reason: int):
    with web_service(Web(lambda uid, _: said({uid: None}, {uid: reason}, status=status))) as web:
        outcomes = deliver(archive_at(web), instances)
    assert {one.state for one in outcomes} == {State.REFUSED}
    assert all(one.remark for one in outcomes)


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>welcome</html>", b"[]", b"[1]", b"null", b'{"00081199": {"Value": [3, {}]}}', 5000 * b"["],
)
def test_success_that_names_no_object_is_no_success(instances: list[Instance], answer: bytes):
    with web_service(Web(lambda *_: (200, answer, {}))) as web:
        outcomes = deliver(archive_at(web), instances)
    assert {(one.state, one.status) for one in outcomes} == {(State.REFUSED, "HTTP 200")}
    assert outcomes[0].remark == "the answer does not name the object"
    assert len(web.requests) == 2


@pytest.mark.parametrize("status", [503, 429, 507])
def test_what_may_go_well_later_is_tried_again(instances: list[Instance], status: int):
    with web_service(Web(lambda uid, number: well(uid) if number > 2 else (status, b"", {}))) as web:
        outcomes = deliver(archive_at(web), instances)
    assert [one.state for one in outcomes] == 2 * [State.STORED]
    assert len(web.requests) == 5


def test_an_object_for_which_there_is_no_room_is_tried_again(instances: list[Instance]):
    with web_service(Web(lambda uid, number: well(uid) if number else said({}, {uid: 0xA700}))) as web:
        assert [one.state for one in deliver(archive_at(web), instances)] == 2 * [State.STORED]
    assert len(web.requests) == 3


@pytest.mark.parametrize("status", [400, 415, 500])
def test_what_is_refused_is_not_tried_again(instances: list[Instance], status: int):
    with web_service(Web(lambda *_: (status, b"MUSTERMANN^ERIKA", {}))) as web:
        outcomes = deliver(archive_at(web), instances)
    assert {(one.state, one.status, one.remark) for one in outcomes} == {(State.REFUSED, f"HTTP {status}", "refused")}
    assert len(web.requests) == 2


@pytest.mark.parametrize(
    ("status", "words"), [(401, "token"), (403, "token"), (404, "no DICOMweb service"), (405, "no DICOMweb service")]
)
def test_what_holds_of_the_service_ends_it(instances: list[Instance], status: int, words: str):
    with web_service(Web(lambda *_: (status, b"", {}))) as web, pytest.raises(PeerError, match=words):
        deliver(archive_at(web, token="geheim"), instances)
    assert len(web.requests) == 1


def test_a_token_goes_where_it_was_sent_and_nowhere_else(instances: list[Instance]):
    with web_service(Web(well)) as elsewhere:
        away = {"Location": f"http://127.0.0.1:{elsewhere.port}/dicom-web/studies"}
        with web_service(Web(lambda *_: (307, b"", away))) as web, pytest.raises(PeerError, match="HTTP 307"):
            deliver(archive_at(web, token="geheim"), instances)
    assert not elsewhere.requests


def test_a_service_that_hangs_up_is_tried_again(instances: list[Instance]):
    with web_service(Web(lambda uid, number: well(uid) if number else (200, b"", {"Content-Length": "99"}))) as web:
        outcomes = deliver(archive_at(web, timeout=0.5), instances)
    assert [one.state for one in outcomes] == 2 * [State.STORED]


def test_an_answer_without_end_is_no_answer(instances: list[Instance], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stow, "LONGEST_ANSWER", 1000)
    with web_service(Web(lambda *_: (200, 1001 * b" ", {}))) as web, pytest.raises(PeerError, match="length"):
        deliver(archive_at(web), instances)


def test_a_service_that_is_not_there_is_an_error_after_all_tries(instances: list[Instance]):
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    waits: list[float] = []
    with pytest.raises(TransientError, match="connection refused"):
        send(archive_at(Web(well, port=port)), instances, sleep=waits.append)
    assert len(waits) == 3


def test_without_https_patients_stay_on_this_machine_unless_it_is_allowed():
    elsewhere = WebAddress(host="pacs.example", port=80, path="/x", secure=False)
    with pytest.raises(UsageError, match="--plain-http"):
        WebArchive(elsewhere)
    WebArchive(elsewhere, plain=True)
    WebArchive(WebAddress(host="pacs.example", port=443, path="/x", secure=True))
