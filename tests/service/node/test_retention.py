"""Retention: what is settled goes in time, what is not never does, and nothing is left behind."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ctpdeploy.service.node.events import Act, Event
from ctpdeploy.service.node.ledger import DeliveryState, Ledger, StudyState
from ctpdeploy.service.node.retention import Retention, purge
from ctpdeploy.service.node.settings import RetentionConfig
from ctpdeploy.service.node.spool import Spool

DAY, MB = 86400.0, 10**6
BOX = "BOX@127.0.0.1:104"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 0.0
        self.notes: list[Event] = []
        self.used = 0
        self.ledger = Ledger(folder / "ledger.sqlite", clock=lambda: self.now)
        self.spool = Spool(folder / "spool", durable=False)
        self.results = folder / "results"
        self.results.mkdir()

    def study(self, key: str, *, delivered: bool = True) -> None:
        images, result = self.spool.study(key) / "images", self.results / key
        for place in (images, result):
            place.mkdir(parents=True)
            (place / "file.dcm").write_bytes(bytes(MB))
        self.ledger.receive(key)
        self.ledger.complete(key, images=1, completeness="counted")
        study = self.ledger.claim()
        assert study
        self.ledger.done(study, results={key: key}, archives=[BOX])
        delivery = self.ledger.due(BOX)
        assert delivery
        self.ledger.settle(delivery, DeliveryState.DELIVERED if delivered else DeliveryState.FAILED)

    def apply(self, **config: float) -> list[str]:
        settings, note = RetentionConfig(**config), self.notes.append
        retention = Retention(settings, self.spool, self.ledger, self.results, clock=lambda: self.now, note=note)
        removed = retention.apply()
        self.used = retention.used
        return removed

    def left(self) -> set[str]:
        named = {study.key for study in self.ledger.studies()}
        kept = {path.name for path in (*self.results.iterdir(), *self.spool.folder.iterdir())} - {"incoming"}
        assert kept <= named
        return named


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def test_what_is_settled_goes_when_it_is_old(bench: Bench):
    bench.study("a")
    bench.now = 3 * DAY
    bench.study("b")
    bench.now = 7.5 * DAY
    assert bench.apply(days=7.0) == ["a"]
    assert bench.left() == {"b"}
    assert not (bench.results / "a").exists()
    assert not bench.spool.study("a").exists()


def test_what_goes_is_noted_and_what_stays_is_measured(bench: Bench):
    bench.study("a")
    bench.now = 3 * DAY
    bench.study("b")
    bench.apply(days=2)
    assert bench.notes == [Event(act=Act.REMOVED, study="a")]
    assert bench.used == 2 * MB


def test_what_is_too_much_goes_from_the_oldest_on(bench: Bench):
    for number, key in enumerate("abc"):
        bench.now = float(number)
        bench.study(key)
    assert bench.apply(gigabytes=0.0041) == ["a"]
    assert bench.left() == {"b", "c"}


def test_what_failed_or_waits_stays_whatever_it_takes(bench: Bench):
    bench.study("a", delivered=False)
    bench.ledger.receive("b")
    bench.ledger.receive("c")
    bench.ledger.complete("c", images=1, completeness="counted")
    bench.ledger.claim()
    bench.ledger.fail("c", "No.")
    bench.now = 99 * DAY
    assert bench.apply(gigabytes=1e-9) == []
    assert bench.left() == {"a", "b", "c"}


def test_a_study_without_a_scan_goes_too(bench: Bench):
    bench.ledger.receive("a")
    bench.ledger.complete("a", images=1, completeness="silence")
    bench.ledger.claim()
    bench.ledger.fail("a", "None.", state=StudyState.NO_SCAN)
    bench.now = 8 * DAY
    assert bench.apply() == ["a"]
    assert bench.left() == set()


def test_a_study_that_grows_meanwhile_stays(bench: Bench):
    """Between the choice of what is removed and its removal an image comes."""
    bench.study("a")
    bench.now = 8 * DAY

    class Guard(AbstractContextManager[None]):
        def __enter__(self) -> None:
            bench.ledger.receive("a")

        def __exit__(self, *_: object) -> None: ...

    settings = RetentionConfig()
    retention = Retention(settings, bench.spool, bench.ledger, bench.results, guard=Guard(), clock=lambda: bench.now)
    assert retention.apply() == []
    assert bench.left() == {"a"}
    assert bench.spool.images("a")


def test_a_purge_takes_all_results_of_a_study_and_of_no_other(bench: Bench):
    for key in ("abc", "abd"):
        bench.study(key)
    for more in ("abc-1", "abc-2", "earlier/abc"):
        (bench.results / more).mkdir(parents=True)
    purge("abc", bench.spool, bench.ledger, bench.results)
    assert {path.name for path in bench.results.iterdir()} == {"abd", "earlier"}
    assert not list((bench.results / "earlier").iterdir())
