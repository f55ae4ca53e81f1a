"""Audit trail: a line of JSON for each event, in DICOM's words, and nobody's name."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from ctpdeploy.service.node.audit import AUDIT, Audit
from ctpdeploy.service.node.events import Act, Event, Peer

SCANNER = Peer("CT1", "10.0.0.5")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(tmp_path: Path, clock: Clock) -> Audit:
    return Audit(tmp_path, "CTPDEPLOY", clock=clock)


def lines(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("audit*.jsonl"), key=lambda file: (file.name == AUDIT, file.name))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("act", Act)
def test_every_event_is_a_message_with_its_code(audit: Audit, tmp_path: Path, act: Act):
    audit.note(Event(act=act))
    (line,) = lines(tmp_path)
    assert line["what"] == act.value
    assert line["time"] == "1970-01-12T13:46:40.000+00:00"
    assert line["event"]["code"].startswith("1101")
    assert line["event"]["action"] in "CRUDE"
    assert line["event"]["outcome"] in (0, 4, 8, 12)


def test_a_study_comes_from_its_scanner_to_the_node(audit: Audit, tmp_path: Path):
    audit.note(Event(act=Act.COMPLETE, study="abc", peer=SCANNER, images=40))
    (line,) = lines(tmp_path)
    node, peer = line["participants"]
    assert (node["user"], node["role"]["meaning"], node["requestor"]) == ("CTPDEPLOY", "Destination Role ID", False)
    assert (peer["user"], peer["address"], peer["role"]["meaning"]) == ("CT1", "10.0.0.5", "Source Role ID")
    assert (line["objects"], line["images"], line["event"]["meaning"]) == (
        [{"study_digest": "abc"}],
        40,
        "DICOM Instances Transferred",
    )


def test_a_result_goes_from_the_node_to_its_archive(audit: Audit, tmp_path: Path):
    for again in (True, False):
        audit.note(Event(act=Act.NOT_DELIVERED, study="abc", peer=Peer("PACS@10.0.0.9:104"), tries=2, again=again))
    first, second = lines(tmp_path)
    node, peer = first["participants"]
    assert (node["role"]["meaning"], peer["role"]["meaning"]) == ("Source Role ID", "Destination Role ID")
    assert "address" not in peer
    assert (first["event"]["outcome"], second["event"]["outcome"], first["tries"]) == (4, 8, 2)


def test_who_is_refused_again_and_again_fills_no_disk(audit: Audit, tmp_path: Path, clock: Clock):
    for _ in range(1000):
        audit.note(Event(act=Act.REFUSED, peer=SCANNER))
    audit.note(Event(act=Act.REFUSED, peer=Peer("X", "10.0.0.6")))
    clock.now += 60
    audit.note(Event(act=Act.REFUSED, peer=SCANNER))
    assert [(line["participants"][1]["address"], line.get("times", 1)) for line in lines(tmp_path)] == [
        ("10.0.0.5", 1),
        ("10.0.0.6", 1),
        ("10.0.0.5", 1000),
    ]


def test_a_full_file_is_kept_and_another_begun(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctpdeploy.service.node.audit._FULL", 2000)
    audit = Audit(tmp_path, "CTPDEPLOY", clock=clock)
    for number in range(50):
        clock.now += 1
        audit.note(Event(act=Act.COMPLETE, study=str(number)))
    assert [line["objects"][0]["study_digest"] for line in lines(tmp_path)] == [str(number) for number in range(50)]
    sizes = [file.stat().st_size for file in tmp_path.glob("audit*.jsonl")]
    assert len(sizes) > 5
    assert max(sizes) <= 2000


def test_threads_write_whole_lines(tmp_path: Path):
    audits = [Audit(tmp_path, "CTPDEPLOY") for _ in range(4)]
    threads = [
        threading.Thread(target=lambda one=one: [one.note(Event(act=Act.COMPLETE)) for _ in range(50)])
        for one in audits
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path)) == 200


def test_what_cannot_be_written_is_said_and_stops_nothing(audit: Audit, tmp_path: Path):
    (tmp_path / AUDIT).mkdir()
    audit.note(Event(act=Act.COMPLETE))
    assert "cannot be written (Is a directory)" in audit.fault
    (tmp_path / AUDIT).rmdir()
    audit.note(Event(act=Act.COMPLETE))
    assert not audit.fault
