"""Couriers: what may go well later is tried again, what may not is left to a person."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.sealed_results import write_result

from ctpdeploy.errors import PeerError
from ctpdeploy.service import Instance, Outcome
from ctpdeploy.service.archive import TransientError
from ctpdeploy.service.node.courier import Courier
from ctpdeploy.service.node.events import Act, Event, Peer
from ctpdeploy.service.node.ledger import Delivery, DeliveryState, Ledger
from ctpdeploy.service.node.settings import ArchiveConfig
from ctpdeploy.service.statuses import outcome_of_status

BOX = "BOX@127.0.0.1:104"


class Box:
    """Keeps UIDs; answers with a status, or breaks."""

    address, protocol = BOX, "C-STORE"

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.answer: int | Exception = 0

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        for one in instances:
            if isinstance(self.answer, Exception):
                raise self.answer
            if not self.answer:
                self.kept.append(one.uid)
            yield outcome_of_status(one, self.answer)


class Bench:
    """A courier with a result to deliver."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now, self.box = 1000.0, Box()
        self.notes: list[Event] = []
        self.ledger = Ledger(folder / "ledger.sqlite", clock=lambda: self.now)
        self.folder = write_result(folder, "a")
        config = ArchiveConfig(address=BOX, **settings)
        self.courier = Courier(config, self.box, self.ledger, folder, note=self.notes.append)
        self.result("digest")

    def result(self, digest: str) -> None:
        self.ledger.receive("a")
        self.ledger.complete("a", images=40, completeness="counted")
        study = self.ledger.claim()
        assert study
        self.ledger.done(study, results={"a": digest}, archives=[BOX])

    def delivery(self) -> Delivery:
        (found,) = self.ledger.deliveries()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def test_a_result_is_delivered_once(bench: Bench):
    assert bench.courier.next()
    assert bench.delivery().state is DeliveryState.DELIVERED
    assert not bench.courier.next()
    assert len(bench.box.kept) == len(set(bench.box.kept)) == 3
    assert (bench.folder / "receipt.json").is_file()


@pytest.mark.parametrize("answer", [TransientError("No connection."), 0xA700])
def test_an_archive_that_is_down_is_tried_later_and_later(bench: Bench, answer: int | Exception):
    bench.box.answer = answer
    waits = []
    for _ in range(12):
        assert bench.courier.next()
        assert not bench.courier.next()
        waits.append(bench.delivery().due - bench.now)
        bench.now = bench.delivery().due
    assert waits[:3] == [2.0, 4.0, 8.0]
    assert waits[-1] == 600.0
    bench.box.answer = 0
    bench.courier.next()
    assert (bench.delivery().state, bench.delivery().reason) == (DeliveryState.DELIVERED, "")


def test_each_try_is_noted(bench: Bench):
    bench.box.answer = 0xA700
    bench.courier.next()
    bench.now += 10
    bench.box.answer = 0
    bench.courier.next()
    box = Peer(BOX)
    assert bench.notes == [
        Event(act=Act.NOT_DELIVERED, study="a", peer=box, tries=1, again=True),
        Event(act=Act.DELIVERED, study="a", peer=box, tries=2, since_last_image=10.0),
    ]


def test_what_is_never_taken_is_left_to_a_person(tmp_path: Path):
    bench = Bench(tmp_path, give_up_days=0.05)
    bench.box.answer = TransientError("No connection.")
    while bench.delivery().state is DeliveryState.WAITING:
        bench.courier.next()
        bench.now = max(bench.now + 1, bench.delivery().due)
    assert 0.05 * 86400 <= bench.now - 1000 < 0.05 * 86400 + 700
    assert "No connection" in bench.delivery().reason
    bench.ledger.close()


@pytest.mark.parametrize("answer", [PeerError("It does not know this machine."), 0x0122])
def test_what_is_refused_for_good_is_not_tried_again(bench: Bench, answer: int | Exception):
    bench.box.answer = answer
    bench.courier.next()
    assert bench.delivery().state is DeliveryState.FAILED
    assert bench.delivery().reason
    bench.box.answer = 0
    assert not bench.courier.next()
    assert bench.ledger.retry("a")
    bench.courier.next()
    assert bench.delivery().state is DeliveryState.DELIVERED
    assert [(one.act, one.again) for one in bench.notes] == [(Act.NOT_DELIVERED, False), (Act.DELIVERED, False)]


def test_a_result_that_is_not_whole_does_not_leave(bench: Bench):
    (bench.folder / "report.json").write_text("{}")
    bench.courier.next()
    assert bench.delivery().state is DeliveryState.FAILED
    assert "does not match its seal" in bench.delivery().reason
    assert bench.box.kept == []


def test_objects_that_are_chosen_go_alone(tmp_path: Path):
    bench = Bench(tmp_path, only=("report",))
    bench.courier.next()
    assert len(bench.box.kept) == 1
    bench.ledger.close()


def test_a_result_without_what_the_archive_gets_is_said(tmp_path: Path):
    bench = Bench(tmp_path, only=("nothing",))
    bench.courier.next()
    assert bench.delivery().state is DeliveryState.FAILED
    assert "no DICOM objects of those" in bench.delivery().reason
    bench.ledger.close()
