"""Requirements of every backend on a GPU besides its own package: a driver that is new enough, a GPU, and PyCUDA.

All of it is checked without making a context, so that the check is cheap where there is none.
"""

import importlib
import json
from typing import Final

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.cuda.driver import Driver, probe
from ctpdeploy.runtime.backends.cuda.fatbin import RECORD

__all__ = ["require_cuda", "require_gpu"]

_OLDEST: Final = (7, 5)
"""Compute capability that the kernels begin with."""

_RELEASES: Final = {12: "R525", 13: "R580"}
"""Driver that a major version of CUDA begins with; what is built with any of its versions needs that one."""


def require_gpu(extra: str) -> Driver:
    """The driver, when its first GPU runs our kernels.

    Args:
        extra: of ctpdeploy, that brings PyCUDA.

    Raises:
        MissingPackageError: PyCUDA is not installed.
        BackendError: there is no driver or no GPU, it is too old, or PyCUDA does not load.
    """
    driver = probe()
    gpu = driver.gpus[0]
    if tuple(int(number) for number in gpu.compute_capability.split(".")) < _OLDEST:
        raise BackendError(
            f"{gpu.name} has compute capability {gpu.compute_capability}, and the kernels need "
            f"{_OLDEST[0]}.{_OLDEST[1]} or a later one: use another GPU, or a backend on the CPU."
        )
    require_cuda(driver, json.loads(RECORD.read_text(encoding="utf-8"))["nvcc"], "ctpdeploy")
    require("pycuda", extra=extra)
    try:
        importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendError(
            f"PyCUDA is installed but does not load ({error}): run pip install --force-reinstall --no-cache-dir pycuda."
        ) from error
    return driver


def require_cuda(driver: Driver, version: str, who: str) -> None:
    """Refuse a driver that is older than the CUDA that something was built with.

    Args:
        driver: of this machine.
        version: of CUDA, of which the number before the first point counts; where it is unknown nothing is refused.
        who: name of what is built for it.

    Raises:
        BackendError: the driver is of an earlier major version.
    """
    needed = version.partition(".")[0]
    if needed.isdigit() and int(driver.cuda.partition(".")[0]) < int(needed):
        release = _RELEASES.get(int(needed))
        raise BackendError(
            f"The NVIDIA driver runs CUDA {driver.cuda} at most, and {who} is built for CUDA {needed}: "
            f"install a newer driver{f', {release} or later' if release else ''}."
        )
