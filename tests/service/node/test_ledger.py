"""The ledger: states change as they may, whole or not at all, and outlive whoever changed them."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.service.node.ledger import DeliveryState, Ledger, Study, StudyState

PACS = "PACS@10.0.0.5:104"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite", clock=clock)
    yield made
    made.close()


def computing(ledger: Ledger, key: str = "a", images: int = 40) -> Study:
    ledger.receive(key)
    ledger.complete(key, images=images, completeness="full grid")
    study = ledger.claim()
    assert study
    return study


def state(ledger: Ledger, key: str = "a") -> StudyState:
    study = ledger.study(key)
    assert study
    return study.state


def test_a_study_on_its_way(ledger: Ledger):
    ledger.receive("a")
    assert (state(ledger), ledger.claim()) == (StudyState.RECEIVING, None)
    ledger.complete("a", images=40, completeness="counted")
    study = ledger.claim()
    assert study
    assert (study.key, study.images, study.completeness, study.tries) == ("a", 40, "counted", 1)
    assert ledger.claim() is None
    ledger.done(study, results={"a": "digest"}, archives=[PACS])
    assert state(ledger) is StudyState.DONE
    (result,) = ledger.results("a")
    assert (result.name, result.version, result.images) == ("a", 1, 40)
    delivery = ledger.due(PACS)
    assert delivery
    assert (delivery.result, delivery.version, delivery.state) == ("a", 1, DeliveryState.WAITING)
    ledger.settle(delivery, DeliveryState.DELIVERED)
    assert ledger.due(PACS) is None


def test_a_result_that_is_there_already_is_delivered_once(ledger: Ledger):
    """As after a kill between the result and its row, or images that change nothing."""
    for _ in range(2):
        ledger.done(computing(ledger), results={"a": "digest"}, archives=[PACS])
        if delivery := ledger.due(PACS):
            ledger.settle(delivery, DeliveryState.DELIVERED)
    assert [one.version for one in ledger.results("a")] == [1]
    assert [(one.state, one.tries) for one in ledger.deliveries()] == [(DeliveryState.DELIVERED, 1)]


def test_another_result_is_a_version_more_and_goes_again(ledger: Ledger):
    ledger.done(computing(ledger), results={"a": "digest"}, archives=[PACS])
    first = ledger.due(PACS)
    assert first
    ledger.done(computing(ledger, images=44), results={"a": "other"}, archives=[PACS])
    ledger.settle(first, DeliveryState.DELIVERED)  # the courier was under way, with what is now the old one
    second = ledger.due(PACS)
    assert second
    assert (second.version, second.state) == (2, DeliveryState.WAITING)
    assert ledger.results("a")[0].images == 44


def test_a_study_that_grows_while_it_is_computed_is_received_again(ledger: Ledger):
    study = computing(ledger)
    ledger.receive("a")
    ledger.done(study, results={"a": "digest"}, archives=[PACS])
    assert state(ledger) is StudyState.RECEIVING
    assert (ledger.results("a"), ledger.deliveries()) == ([], [])


def test_results_are_found_by_their_names(ledger: Ledger, clock: Clock):
    for key in "ab":
        clock.now += 10
        ledger.done(computing(ledger, key), results={f"{key}-1": "one", f"{key}-2": "two"}, archives=[])
    assert [result.name for result in ledger.results()] == ["a-1", "a-2", "b-1", "b-2"]
    assert [result.name for result in ledger.results("b")] == ["b-1", "b-2"]
    found = ledger.result("b-2")
    assert found
    assert (found.study, found.digest) == ("b", "two")
    assert ledger.result("b") is None


def test_it_is_known_when_the_last_image_came(ledger: Ledger, clock: Clock):
    ledger.receive("a")
    clock.now += 100
    ledger.complete("a", images=40, completeness="silence", ago=30.0)
    (study,) = ledger.studies()
    assert (clock.now - study.last, study.last - study.received) == (30.0, 70.0)


def test_a_result_is_held_back_while_more_may_come(ledger: Ledger, clock: Clock):
    """What grows meanwhile has never had another result."""
    ledger.receive("a")
    ledger.complete("a", images=38, completeness="full grid", hold=2.0)
    study = ledger.claim()
    assert study
    ledger.done(study, results={"a": "digest"}, archives=[PACS])
    assert ledger.due(PACS) is None
    clock.now += 1
    ledger.receive("a")
    clock.now += 5
    assert ledger.due(PACS) is None
    ledger.done(computing(ledger), results={"a": "other"}, archives=[PACS])
    delivery = ledger.due(PACS)
    assert delivery
    assert delivery.version == 1
    ledger.receive("a")
    assert ledger.due(PACS)  # it may be under way


def test_what_a_killed_node_was_computing_is_computed_again(tmp_path: Path, ledger: Ledger):
    computing(ledger)
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite")
    again.resume()
    study = again.claim()
    assert study
    assert study.tries == 2


def test_a_study_that_ends_its_node_again_and_again_is_left_to_a_person(ledger: Ledger):
    computing(ledger)
    for _ in range(9):
        ledger.resume()
        assert ledger.claim()
    ledger.resume()
    assert (state(ledger), ledger.claim()) == (StudyState.FAILED, None)


def test_a_try_waits_its_time(ledger: Ledger, clock: Clock):
    computing(ledger)
    ledger.postpone("a", "The disk is full.", wait=10.0)
    assert ledger.claim() is None
    clock.now += 10
    assert ledger.claim()


def test_deliveries_wait_their_time_and_the_first_goes_first(ledger: Ledger, clock: Clock):
    for key in "ab":
        ledger.done(computing(ledger, key), results={key: key}, archives=[PACS])
        clock.now += 1
    delivery = ledger.due(PACS)
    assert delivery
    assert delivery.result == "a"
    ledger.settle(delivery, DeliveryState.WAITING, "No answer.", wait=5.0)
    second = ledger.due(PACS)
    assert second
    assert second.result == "b"
    ledger.settle(second, DeliveryState.FAILED, "Refused.")
    assert ledger.due(PACS) is None
    clock.now += 5
    again = ledger.due(PACS)
    assert again
    assert (again.result, again.tries, again.reason) == ("a", 1, "No answer.")


def test_what_failed_is_tried_again_when_a_person_says_so(ledger: Ledger):
    computing(ledger)
    ledger.fail("a", "The series is none.")
    assert not ledger.retry("b")
    assert ledger.retry("a")
    study = ledger.claim()
    assert study
    ledger.done(study, results={"a": "digest"}, archives=[PACS])
    delivery = ledger.due(PACS)
    assert delivery
    ledger.settle(delivery, DeliveryState.FAILED, "Refused.")
    assert ledger.retry("a")
    assert ledger.due(PACS)
    ledger.settle(delivery, DeliveryState.DELIVERED)
    assert not ledger.retry("a")


def test_a_forgotten_study_has_no_results_and_no_deliveries(ledger: Ledger):
    ledger.done(computing(ledger), results={"a": "digest"}, archives=[PACS])
    ledger.remove("a")
    assert (ledger.studies(), ledger.results("a"), ledger.deliveries(), ledger.due(PACS)) == ([], [], [], None)


def test_a_change_that_breaks_leaves_nothing_of_itself(ledger: Ledger):
    study = computing(ledger)
    with pytest.raises(sqlite3.Error):
        ledger.done(study, results={"a": "digest", "b": None}, archives=[PACS])  # type: ignore[dict-item]
    assert state(ledger) is StudyState.COMPUTING
    assert (ledger.results("a"), ledger.deliveries()) == ([], [])


def test_no_study_is_claimed_twice(tmp_path: Path, ledger: Ledger):
    for number in range(50):
        ledger.receive(str(number))
        ledger.complete(str(number), images=1, completeness="counted")
    claimed: list[str] = []

    def work() -> None:
        own = Ledger(tmp_path / "ledger.sqlite")
        while study := own.claim():
            claimed.append(study.key)
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed, key=int) == [str(number) for number in range(50)]


def test_what_is_no_ledger_is_refused(tmp_path: Path):
    (tmp_path / "text").write_text("no base of data " * 100)
    with pytest.raises(InputError, match="no ledger of a node"):
        Ledger(tmp_path / "text")
    Ledger(tmp_path / "later").close()
    with sqlite3.connect(tmp_path / "later") as base:
        base.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="of a later version"):
        Ledger(tmp_path / "later")
