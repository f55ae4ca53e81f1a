"""Signals end a command with the code that shells expect, and leave nothing half written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import nifti_cases

from ctpdeploy.errors import ExitCode

SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without
from pathlib import Path
from ctpdeploy.cli import main
from ctpdeploy.runtime.io import layout

def slow(name, *others, **options):
    if name == "case_10":
        Path(sys.argv[-1], "..", "reading").resolve().touch()
        time.sleep(600)
    return as_ever(name, *others, **options)

as_ever, layout.read_nifti_case = layout.read_nifti_case, slow
main()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_an_interruption_ends_at_once_and_leaves_whole_cases(
    bundle_folder: Path, tmp_path: Path, number: signal.Signals, code: ExitCode
):
    """Reading the third case never ends."""
    for case in (1, 2, 10, 11):
        nifti_cases.write_isles(tmp_path / "in" / f"case_{case}", shape=(70, 66, 2), frames=16)
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, "infer", str(bundle_folder), str(tmp_path / "in"), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not ((tmp_path / "reading").exists() and out.exists()) and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code == 128 + number
    assert said.splitlines()[-1] == f"Stopped by {number.name}. What is complete stays."
    assert "Traceback" not in said
    assert {path.name for path in out.iterdir()} in ({"case_1"}, {"case_1", "case_2"})
    for folder in out.iterdir():
        report = json.loads((folder / "report.json").read_text())
        assert {path.name for path in folder.iterdir()} == {"report.json", "digests.json", *report["outputs"].values()}


FORKED = """
import os, signal, time
from ctpdeploy.cli.interruption import raise_on_signals
signal.signal(signal.SIGINT, signal.SIG_IGN)
raise_on_signals()
assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
child = os.fork()
if child == 0:
    time.sleep(600)
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_what_is_ignored_stays_so_and_children_die_as_ever():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert int(done.stdout) == signal.SIGTERM
