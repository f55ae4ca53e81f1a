"""The processor that engines run on, in words and in cores."""

import os
import platform
from functools import cache
from pathlib import Path

__all__ = ["processor_name", "usable_cores"]


@cache
def processor_name() -> str:
    """Name of the processor: its model on Linux, elsewhere what the system calls it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
