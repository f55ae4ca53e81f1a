"""The backends by name, and the choice among them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends import openvino_cpu, ort_cpu
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.native import engine as native
from ctpdeploy.runtime.backends.ncnn_cpu import engine as ncnn_cpu
from ctpdeploy.runtime.backends.ort_cuda import backend as ort_cuda
from ctpdeploy.runtime.backends.timings import Speeds, recall
from ctpdeploy.runtime.backends.trt import FLAVOURS
from ctpdeploy.runtime.backends.trt import backend as trt
from ctpdeploy.runtime.bundle.bundle import Bundle

__all__ = ["AUTO", "BACKENDS", "HIDDEN", "Backend", "Choice", "choose", "open_engine"]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A way to run the networks of a bundle.

    Attributes:
        open_engine: loads them. The engine has read what it needs when it is open: the files of a zipped bundle are
            gone when the bundle is closed.
        unavailable_because: why that cannot work here and what to do, or None; asks no more than it has to, and no GPU
            for memory.
    """

    open_engine: Callable[[Bundle], Engine]
    unavailable_because: Callable[[], str | None]


BACKENDS: Final[dict[str, Backend]] = {
    **{
        name: Backend(
            open_engine=partial(trt.open_engine, flavour),
            unavailable_because=partial(trt.cannot_run_because, flavour),
        )
        for name, flavour in FLAVOURS.items()
    },
    **{
        module.NAME: Backend(open_engine=module.open_engine, unavailable_because=module.unavailable_because)
        for module in (ort_cuda, ort_cpu, native, ncnn_cpu, openvino_cpu)
    },
}
"""In the order in which ``"auto"`` asks them where nothing was measured."""

HIDDEN: Final[dict[str, Callable[[Bundle], Engine]]] = {}
"""Backends for developers, added by whoever has them; opened by their names and listed nowhere."""

AUTO: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What runs the networks, and why.

    Attributes:
        backend: its name.
        because: one sentence.
    """

    backend: str
    because: str


def choose(bundle: Bundle, asked: str = AUTO) -> Choice:
    """The backend asked for, never another.

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
    speeds, reasons = recall(bundle), dict[str, str]()
    ranked = [name for name in speeds.seconds if name in BACKENDS] if speeds else []
    for name in dict.fromkeys((*ranked, *BACKENDS)):
        reason = BACKENDS[name].unavailable_because()
        if reason is None:
            return Choice(backend=name, because=_because(name, speeds))
        reasons[name] = reason
    raise BackendError("No backend can run here. " + " ".join(f"{name}: {why}" for name, why in reasons.items()))


def open_engine(bundle: Bundle, backend: str = AUTO) -> Engine:
    """Open the backend that :func:`choose` gives.

    Raises:
        UsageError: no backend has this name.
        BackendError: it cannot run here.
    """
    name = choose(bundle, backend).backend
    return HIDDEN[name](bundle) if name in HIDDEN else BACKENDS[name].open_engine(bundle)


def _because(name: str, speeds: Speeds | None) -> str:
    if speeds is not None and name in speeds.seconds:
        return f"It is the fastest that can run here, of {speeds}."
    return "It is the first that can run here; which is the fastest is found by ctpdeploy warmup."
