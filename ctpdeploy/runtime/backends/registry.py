"""The backends by name, and the choice among them."""

from dataclasses import dataclass
from typing import Final

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends import openvino_cpu, ort_cpu
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.native import engine as native
from ctpdeploy.runtime.backends.ncnn_cpu import engine as ncnn_cpu
from ctpdeploy.runtime.backends.ort_cuda import backend as ort_cuda
from ctpdeploy.runtime.backends.timings import Speeds, recall
from ctpdeploy.runtime.backends.trt import backend as trt
from ctpdeploy.runtime.bundle.bundle import Bundle

__all__ = ["AUTO", "BACKENDS", "HIDDEN", "Backend", "Choice", "choose", "open_engine", "packages"]

BACKENDS: Final[dict[str, Backend]] = {
    **trt.BACKENDS,
    ort_cuda.NAME: ort_cuda.BACKEND,
    ort_cpu.NAME: ort_cpu.BACKEND,
    native.NAME: native.BACKEND,
    ncnn_cpu.NAME: ncnn_cpu.BACKEND,
    openvino_cpu.NAME: openvino_cpu.BACKEND,
}
"""In the order in which ``"auto"`` tries them where nothing was measured; other backends are added here."""

HIDDEN: Final[dict[str, Backend]] = {}
"""Backends for developers, added by whoever has them; opened by their names and listed nowhere."""

AUTO: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The backend chosen, and the reason.

    Attributes:
        backend: its name.
        because: one sentence.
    """

    backend: str
    because: str


def choose(bundle: Bundle, asked: str = AUTO) -> Choice:
    """The requested backend, never another.

    ``"auto"`` means the fastest of those that were measured with the bundle on this machine, and where nothing was
    measured the first that can run.

    Raises:
        UsageError: no backend has this name.
        BackendError: ``"auto"``, and none can run here.
    """
    if asked != AUTO:
        if asked not in {**BACKENDS, **HIDDEN}:
            raise UsageError(f"There is no backend '{asked}': choose {AUTO} or {', '.join(BACKENDS)}.")
        return Choice(backend=asked, because="It was asked for.")
    speeds, reasons = recall(bundle, packages()), dict[str, str]()
    ranked = [name for name in speeds.seconds if name in BACKENDS] if speeds else []
    for name in dict.fromkeys((*ranked, *BACKENDS)):
        reason = BACKENDS[name].refusal()
        if reason is None:
            return Choice(backend=name, because=_because(name, speeds))
        reasons[name] = reason
    raise BackendError("No backend can run here. " + " ".join(f"{name}: {why}" for name, why in reasons.items()))


def open_engine(bundle: Bundle, backend: str = AUTO) -> Engine:
    """Open the backend that :func:`choose` gives; whoever opens an engine closes it.

    Raises:
        UsageError: no backend has this name.
        BackendError: it cannot run here, or fails to open, whatever it raises.
    """
    name = choose(bundle, backend).backend
    chosen = {**BACKENDS, **HIDDEN}[name]
    if (reason := chosen.refusal()) is not None:
        raise BackendError(f"The backend {name} cannot run: {reason}")
    return chosen.opened(bundle, name)


def packages() -> tuple[str, ...]:
    """The distributions that the listed backends depend on, each once."""
    return tuple(dict.fromkeys(package for backend in BACKENDS.values() for package in backend.packages))


def _because(name: str, speeds: Speeds | None) -> str:
    if speeds is not None and name in speeds.seconds:
        return f"It is the fastest that can run here, of {speeds}."
    return "It is the first that can run here; which is the fastest is found by ctpdeploy warmup."
