"""The scripts beside the package: what of them can be driven without half an hour or a GPU."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gpu import Parts
from gpu_report import markdown

from ctpdeploy.errors import BackendError, ExitCode, GuardError
from ctpdeploy.runtime.backends.cuda.driver import probe

REPOSITORY = Path(__file__).parents[2]


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_without_a_gpu_the_script_says_so():
    try:
        probe()
    except BackendError:
        done = subprocess.run([sys.executable, "claims/gpu.py"], cwd=REPOSITORY, capture_output=True, check=False)
        assert done.returncode == ExitCode.BACKEND
        assert b"There is nothing to measure" in done.stderr
        assert done.stdout == b""
    else:
        pytest.skip("There is a GPU.")


def test_parts_that_fail_are_listed_and_the_others_go_on():
    parts, done = Parts(1000.0), []
    parts.attempt("missing", fail_with(ImportError("No module named 'pycuda'")))
    parts.attempt("refused", fail_with(BackendError("It cannot run.")))
    parts.attempt("wrong", fail_with(GuardError("It is off by 3.")))
    parts.attempt("memory", fail_with(RuntimeError("CUDA out of memory\nand a page of it")))
    parts.attempt("right", lambda: done.append("right"))
    assert done == ["right"]
    assert list(parts.left_out) == ["missing", "refused", "memory"]
    assert parts.left_out["memory"] == "RuntimeError: CUDA out of memory"
    assert parts.wrong == {"wrong": "It is off by 3."}
    with pytest.raises(AssertionError):  # a fault of the script is not a lack of the machine
        parts.attempt("script", fail_with(AssertionError("no")))


def test_what_does_not_fit_into_the_time_is_left_out():
    parts, done = Parts(10.0), []
    parts.attempt("long", lambda: done.append("long"), needs_s=60)
    parts.attempt("short", lambda: done.append("short"), needs_s=5)
    assert done == ["short"]
    assert "it may need 60 s" in parts.left_out["long"]
    late = Parts(0.0)
    time.sleep(0.01)
    late.attempt("any", lambda: done.append("any"))
    assert done == ["short"]


def test_evidence_says_what_is_missing_and_what_is_wrong():
    seconds = {"p50": 0.0123, "p95": 0.02, "p99": None}
    found = {
        "rehearsal": False,
        "machine": {"gpus": ["A GPU"], "processor": "A CPU", "cores": 4, "cuda": "13.0", "versions": {"torch": "2"}},
        "width": 64,
        "size": 256,
        "ceilings": {"copy_gb_per_s": 3000.0},
        "kernels": [
            {"kernel": "mask_above", "case": "-", "megabytes": 5.0, "microseconds": 3.0, "share_of_copy": 0.81}
        ],
        "checks": {"torch eager float32": {"rms_error": 1e-6}, "ctpdeploy ort-cuda fp32": {"a": 1.0, "b": 2.0}},
        "by_slices": {
            1: {
                "torch eager float32": {"with copies": {"seconds": seconds, "times_eager": 1.0}},
                "ctpdeploy ort-cuda fp32": {},
            }
        },
        "torch_memory_bytes": {1: {"torch eager float32": 3_000_000_000}},
        "processes": {
            "ctpdeploy ort-cuda fp32": {
                "first_mask_s": 3.0,
                "startup_s": 2.1,
                "peak_bytes": 2e9,
                "gpu_peak_bytes": None,
            }
        },
        "left_out": {"kernels": "PyCUDA is not there"},
        "wrong": {"ctpdeploy tensorrt fp16": "off"},
    }
    text = markdown(found)
    assert "A rehearsal" not in text
    assert "| mask_above | - | 5.0 | 3.0 | 81% |" in text
    assert "12.3 (1.00), p95 20" in text
    assert "| torch eager float32 | 3.00 |" in text
    assert "- kernels: PyCUDA is not there" in text
    assert "**Wrong**" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(row.count("|") > 2 for row in rows)
    assert "A rehearsal" in markdown(found | {"rehearsal": True})
