import os
import subprocess
import sys
import time

import pytest

from ctpdeploy.benchmark.machine import OtherLoad, describe_machine

BUSY = "import time; end = time.time() + {0}\nwhile time.time() < end: pass"


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/stat")


@linux
def test_own_work_is_no_other_load():
    cores, load = os.cpu_count() or 1, OtherLoad()
    start, before = time.perf_counter(), os.times()
    children = [subprocess.Popen([sys.executable, "-c", BUSY.format(1)]) for _ in range(cores)]
    for child in children:
        child.wait()
    other, after = load.cores(), os.times()
    own = (sum(after[:4]) - sum(before[:4])) / (time.perf_counter() - start)
    assert other is not None
    assert other <= cores - own + 0.2


@linux
def test_a_neighbour_is():
    neighbour = subprocess.Popen([sys.executable, "-c", BUSY.format(60)])
    load = OtherLoad()
    time.sleep(1.5)
    cores = load.cores()
    neighbour.kill()
    neighbour.wait()
    assert cores is not None
    assert cores > 0.25  # it may have to share with others


def test_the_machine_is_described():
    found = describe_machine()
    assert found["processor"]
    assert found["cores"] >= 1
    assert {"ctpdeploy", "python", "numpy", "scipy"} <= set(found["versions"])
