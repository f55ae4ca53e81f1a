"""Three stages at once: order, errors, bounds, and what is left when somebody leaves early."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from ctpdeploy.runtime.cohort.stage_pipeline import run_stages


class Stages:
    """Stages that note what they do; each adds its letter to the item."""

    def __init__(self, pause: dict[str, float] | None = None) -> None:
        self.pause = pause or {}
        self.inside: Counter[str] = Counter()
        self.begun = self.ended = 0
        self.most_at_once: Counter[str] = Counter()
        self.most_between = 0
        self.threads: dict[str, set[int]] = {"a": set(), "b": set(), "c": set()}
        self.lock = threading.Lock()

    def stage(self, letter: str, item: str) -> str:
        with self.lock:
            self.begun += letter == "a"
            self.inside[letter] += 1
            self.most_at_once |= self.inside
            self.most_between = max(self.most_between, self.begun - self.ended)
            self.threads[letter].add(threading.get_ident())
        time.sleep(self.pause.get(letter, 0.0))
        with self.lock:
            self.ended += letter == "c"
            self.inside[letter] -= 1
        if item.startswith(letter):
            raise ValueError(f"{item[:2]} fails in {letter}")
        return item + letter

    def run_stages(self, items):  # noqa: ANN001
        return run_stages(items, *(lambda item, letter=letter: self.stage(letter, item) for letter in "abc"))


@pytest.mark.parametrize("slow", ["a", "b", "c", ""])
def test_items_come_out_in_order_and_three_are_in_the_line_at_most(slow: str):
    stages = Stages({slow: 0.01})
    with stages.run_stages(str(i) for i in range(12)) as outcomes:
        assert [outcome.result() for outcome in outcomes] == [f"{i}abc" for i in range(12)]
    assert stages.most_at_once == {"a": 1, "b": 1, "c": 1}
    assert stages.most_between <= 3
    assert stages.threads["b"] == {threading.get_ident()}
    assert threading.get_ident() not in stages.threads["a"] | stages.threads["c"]


def test_the_stages_run_at_the_same_time():
    """Each stage waits until the two others are at work too: one after the other would never end."""
    together = threading.Barrier(3)

    def meet(stage: int):
        def run(item: int) -> int:
            if item == 2 - stage:  # items 2, 1 and 0 are in the three stages at once
                together.wait(timeout=30)
            return item

        return run

    with run_stages(range(3), meet(0), meet(1), meet(2)) as outcomes:
        assert [outcome.result() for outcome in outcomes] == [0, 1, 2]


def test_an_item_that_fails_stops_no_other():
    stages = Stages()
    with stages.run_stages(["1", "a2", "b3", "4", "c5", "a6", "7"]) as outcomes:
        seen = [str(outcome.exception() or outcome.result()) for outcome in outcomes]
    assert seen == ["1abc", "a2 fails in a", "b3 fails in b", "4abc", "c5 fails in c", "a6 fails in a", "7abc"]


def test_nothing_to_convey():
    with run_stages([], str, str, str) as outcomes:
        assert list(outcomes) == []


def test_an_interruption_waits_for_the_last_stage_and_not_for_the_first():
    never, written = threading.Event(), []

    def first(item: int) -> int:
        if item == 2:
            never.wait()
        return item

    def middle(item: int) -> int:
        if item == 1:
            raise KeyboardInterrupt
        return item

    def last(item: int) -> int:
        time.sleep(0.2)
        written.append(item)
        return item

    def run() -> None:
        with run_stages(range(9), first, middle, last) as outcomes:
            for _ in outcomes:
                raise AssertionError("the first item was not done yet")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert written == [0]
    never.set()


def test_leaving_early_waits_for_the_last_stage():
    written = []

    def last(item: int) -> None:
        time.sleep(0.05)
        written.append(item)

    with run_stages(range(9), int, int, last) as outcomes:
        next(outcomes)
        assert written[:1] == [0]
    assert written == [0]


SLOW_FIRST = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without
from ctpdeploy.runtime.cohort.stage_pipeline import run_stages
def first(item):
    if item == 1:
        print("reading", flush=True)
        time.sleep(600)
    return item
with run_stages([0, 1], first, int, int) as outcomes:
    for outcome in outcomes:
        pass
"""


def test_a_process_that_is_interrupted_ends_while_the_first_stage_is_at_work():
    command = [sys.executable, "-c", SLOW_FIRST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in said
    assert process.returncode != 0
