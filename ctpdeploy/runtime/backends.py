"""The backends by name, and the choice among them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime import openvino_cpu, ort
from ctpdeploy.runtime.bundle import Bundle
from ctpdeploy.runtime.cuda import host_backend
from ctpdeploy.runtime.engine import Engine
from ctpdeploy.runtime.ort_cuda import backend as ort_cuda
from ctpdeploy.runtime.trt import FLAVOURS
from ctpdeploy.runtime.trt import backend as trt
from ctpdeploy.runtime.winograd import engine as winograd

__all__ = ["AUTO", "BACKENDS", "HIDDEN", "Backend", "open_engine"]


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
        for module in (ort_cuda, ort, winograd, openvino_cpu)
    },
}
"""In the order in which ``"auto"`` asks them."""

HIDDEN: Final[dict[str, Callable[[Bundle], Engine]]] = {host_backend.NAME: host_backend.open_engine}
"""Ways to run them for developers, opened by their names and listed nowhere."""

AUTO: Final = "auto"


def open_engine(bundle: Bundle, backend: str = AUTO) -> Engine:
    """Open the backend asked for, never another; ``"auto"`` takes the first that this machine can run.

    Raises:
        UsageError: no backend has this name.
        BackendError: it cannot run here.
    """
    if backend in HIDDEN:
        return HIDDEN[backend](bundle)
    if backend != AUTO:
        if backend not in BACKENDS:
            raise UsageError(f"There is no backend '{backend}': choose {AUTO} or {', '.join(BACKENDS)}.")
        return BACKENDS[backend].open_engine(bundle)
    reasons = {}
    for name, candidate in BACKENDS.items():
        reasons[name] = candidate.unavailable_because()
        if reasons[name] is None:
            return candidate.open_engine(bundle)
    raise BackendError("No backend can run here. " + " ".join(f"{name}: {why}" for name, why in reasons.items()))
