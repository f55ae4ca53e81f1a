import os
import platform
import sys

import pytest

from ctpdeploy.runtime.backends.processor import processor_name, usable_cores


def test_the_processor_has_a_name(monkeypatch: pytest.MonkeyPatch):
    assert processor_name()
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: False)
    assert processor_name.__wrapped__() == (platform.processor() or platform.machine())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep a process to some cores")
def test_cores_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores() == len(allowed)
