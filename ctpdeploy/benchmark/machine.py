"""The machine behind the figures: processor, versions, and load by other work."""

import os
import platform
import time
from pathlib import Path
from typing import Any, Final

from ctpdeploy import __version__
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.driver import probe
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.processor import processor_name, usable_cores

__all__ = ["OtherLoad", "describe_machine"]

_BUSY: Final = (0, 1, 2, 5, 6, 7)
"""Columns of ``/proc/stat``: user, nice, system, interrupts, soft interrupts, stolen by other guests of the host."""


def describe_machine() -> dict[str, Any]:
    """System, processor, cores that may be used, GPUs and their CUDA, and versions of what every backend needs."""
    return {
        "system": platform.system(),
        "processor": processor_name(),
        "cores": usable_cores(),
        **_gpus(),
        "versions": {"ctpdeploy": __version__, "python": platform.python_version()} | versions_of("numpy", "scipy"),
    }


class OtherLoad:
    """Load of the cores by other work since this was made; measured on Linux alone."""

    def __init__(self) -> None:
        self._start = _clocks()

    def cores(self) -> float | None:
        """Cores on average, of those of the whole machine; children count as own work once they have ended."""
        if self._start is None or (now := _clocks()) is None:
            return None
        seconds, busy, own = (after - before for after, before in zip(now, self._start, strict=True))
        return max(0.0, (busy - own) / seconds)


def _clocks() -> tuple[float, float, float] | None:
    """Time, core seconds used by all, and those used by this process and its children that have ended."""
    try:
        columns = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        busy = sum(int(columns[i]) for i in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return time.perf_counter(), busy, sum(os.times()[:4])


def _gpus() -> dict[str, Any]:
    try:
        driver = probe()
    except BackendError as error:
        return {"gpus": [], "no_gpu_because": str(error)}
    return {"gpus": [gpu.name for gpu in driver.gpus], "cuda": driver.cuda}
