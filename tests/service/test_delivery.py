"""Deliveries to archives that fail as they are told."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support.sealed_results import write_object

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service import Instance, Outcome, Patience, State, read_instance, send
from ctpdeploy.service.archive import TransientError
from ctpdeploy.service.statuses import outcome_of_status

GONE = TransientError("it ended.")


class Scripted:
    """Answers statuses, raises errors, and at the end of its script stores all."""

    address, protocol = "ARCHIVE@nowhere:104", "C-STORE"

    def __init__(self, *script: int | Exception) -> None:
        self.script, self.asked = list(script), []

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        self.asked.append([one.path.stem for one in instances])
        for one in instances:
            step = self.script.pop(0) if self.script else 0
            if isinstance(step, Exception):
                raise step
            yield outcome_of_status(one, step)


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    for name in "abc":
        write_object(tmp_path / f"{name}.dcm")
    return [read_instance(tmp_path / f"{name}.dcm") for name in "abc"]


@pytest.fixture
def deliver(instances: list[Instance]) -> Callable[..., tuple[list[str], list[list[str]], list[float]]]:
    """States, what was asked in which try, and how long was waited in between."""

    def deliver(*script: int | Exception, tries: int = 4) -> tuple[list[str], list[list[str]], list[float]]:
        archive, waits = Scripted(*script), []
        outcomes = send(archive, instances, patience=Patience(tries=tries), sleep=waits.append)
        assert [one.instance for one in outcomes] == instances
        return [f"{one.state} {one.remark}".strip() for one in outcomes], archive.asked, waits

    return deliver


def test_what_is_taken_is_sent_once(deliver: Callable):
    assert deliver() == (3 * ["stored"], [["a", "b", "c"]], [])


def test_an_archive_out_of_resources_is_asked_again_for_what_it_has_not(deliver: Callable):
    assert deliver(0, 0xA700, 0) == (3 * ["stored"], [["a", "b", "c"], ["b"]], [1.0])


def test_waits_double_and_patience_ends(deliver: Callable):
    states, asked, waits = deliver(0, *(9 * [0xA701]), tries=3)
    assert states == ["stored", "refused out of resources", "refused out of resources"]
    assert asked == [["a", "b", "c"], ["b", "c"], ["b", "c"]]
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_what_is_refused_for_good_is_not_asked_again(deliver: Callable, status: int):
    states, asked, waits = deliver(0, status)
    assert [state.split()[0] for state in states] == ["stored", "refused", "stored"]
    assert (asked, waits) == ([["a", "b", "c"]], [])


def test_an_object_that_ends_every_association_stands_in_the_way_of_no_other(deliver: Callable):
    states, asked, _ = deliver(0, GONE, 0, GONE, GONE, tries=2)
    assert states == ["stored", "unsent it ended.", "stored"]
    assert asked == [["a", "b", "c"], ["c", "b"], ["b"]]


def test_an_archive_that_is_never_reached_is_an_error_in_the_end(deliver: Callable):
    with pytest.raises(TransientError, match="it ended"):
        deliver(GONE, GONE, GONE, tries=3)
    assert deliver(GONE, GONE, tries=3)[0] == 3 * ["stored"]


def test_a_rejection_for_good_is_tried_once(instances: list[Instance]):
    archive = Scripted(PeerError("wrong title."))
    with pytest.raises(PeerError, match="wrong title"):
        send(archive, instances, sleep=lambda _: pytest.fail("it waited"))
    assert len(archive.asked) == 1


def test_a_rejection_after_the_first_object_leaves_the_others_unsent(deliver: Callable):
    states, asked, waits = deliver(0, PeerError("no more."))
    assert states == ["stored", "unsent no more.", "unsent no more."]
    assert (len(asked), waits) == (1, [])


def test_outcomes_are_told_as_they_settle_each_once(instances: list[Instance]):
    told: list[str] = []
    send(
        Scripted(0xA700, GONE),
        instances,
        on_outcome=lambda outcome: told.append(outcome.instance.path.stem),
        sleep=lambda _: None,
    )
    assert sorted(told) == ["a", "b", "c"]


def test_no_try_at_all_is_no_patience():
    with pytest.raises(UsageError, match="--tries"):
        Patience(tries=0)


def test_no_wait_is_longer_than_a_minute():
    assert max(Patience(tries=20).waits()) == 60.0


def test_states_are_words():
    assert State.UNSENT == "unsent"
