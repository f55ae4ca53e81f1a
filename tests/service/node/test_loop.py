"""Loops: they go on, whatever a step raises, and end when they are told."""

import threading

import pytest
from support.nodes import until

from ctpdeploy.service.node import loop as module
from ctpdeploy.service.node.loop import Loop


def test_a_step_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(module, "_AFTER_A_FAILURE", 0.01)
    steps: list[int] = []
    faults: list[str] = []

    def step() -> float:
        steps.append(len(steps))
        if len(steps) == 1:
            raise OSError(28, "No space left on device")
        faults.append(one.fault)
        if len(steps) == 3:
            one.stop()
        return 0.0

    one = Loop("arrivals", step)
    one.run()
    assert steps == [0, 1, 2]
    assert "arrivals: unexpected OSError" in caplog.text
    assert faults == ["unexpected OSError ([Errno 28] No space left on device)", ""]


def test_who_waits_is_woken_and_ends():
    steps: list[int] = []

    def step() -> float:
        steps.append(1)
        return 60.0

    one = Loop("courier", step)
    thread = threading.Thread(target=one.run)
    thread.start()
    until(lambda: len(steps) == 1)
    one.wake()
    until(lambda: len(steps) == 2)
    one.stop()
    thread.join(timeout=5.0)
    assert not thread.is_alive()
