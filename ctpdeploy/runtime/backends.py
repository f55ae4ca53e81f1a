"""The backends by name, and the choice among them."""

from types import ModuleType
from typing import Final

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime import openvino_cpu, ort
from ctpdeploy.runtime.bundle import Bundle
from ctpdeploy.runtime.engine import Engine
from ctpdeploy.runtime.winograd import engine as winograd

__all__ = ["AUTO", "BACKENDS", "open_engine"]

BACKENDS: Final[dict[str, ModuleType]] = {ort.NAME: ort, winograd.NAME: winograd, openvino_cpu.NAME: openvino_cpu}
"""In the order in which ``"auto"`` asks them. Each module has ``open_engine(bundle)`` and ``unavailable_because()``."""

AUTO: Final = "auto"


def open_engine(bundle: Bundle, backend: str = AUTO) -> Engine:
    """Open the backend asked for, never another; ``"auto"`` takes the first that this machine can run.

    An engine has read what it needs when it is open: the files of a zipped bundle are gone when the bundle is closed.

    Raises:
        UsageError: no backend has this name.
        BackendError: it cannot run here.
    """
    if backend != AUTO:
        if backend not in BACKENDS:
            raise UsageError(f"There is no backend '{backend}': choose {AUTO} or {', '.join(BACKENDS)}.")
        engine: Engine = BACKENDS[backend].open_engine(bundle)
        return engine
    reasons = {name: module.unavailable_because() for name, module in BACKENDS.items()}
    for name, reason in reasons.items():
        if reason is None:
            return open_engine(bundle, name)
    raise BackendError("No backend can run here. " + " ".join(f"{name}: {why}" for name, why in reasons.items()))
