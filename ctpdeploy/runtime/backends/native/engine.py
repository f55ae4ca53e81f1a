"""The backend on ctpdeploy's own kernels."""

import os
import platform

from ctpdeploy import __version__
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.native.library import unavailable_because
from ctpdeploy.runtime.backends.native.network import Network
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, read_graph
from ctpdeploy.runtime.backends.onnx_graph.slices import run_slices
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["NAME", "NativeEngine", "open_engine", "unavailable_because"]

NAME = "native"


def open_engine(bundle: Bundle) -> "NativeEngine":
    """Transform the weights of a bundle's merged network and compare it with NumPy.

    Raises:
        BackendError: the kernels are missing, cannot run the network, or compute it wrongly.
        InputError: the bundle is damaged.
    """
    reason = unavailable_because()
    if reason is not None:
        raise BackendError(f"The backend {NAME} cannot run: {reason}")
    content = bundle.network_content(PIPELINE)
    try:
        return NativeEngine(read_graph(content))
    except ValueError as error:
        called = bundle.source / bundle.networks[PIPELINE].file
        raise BackendError(f"The backend {NAME} cannot run {called}, because {error}: use another one.") from error


class NativeEngine:
    """The merged network on all cores, one slice after the other; slices of air are answered once in a batch.

    Args:
        graph: the merged network.

    Raises:
        ValueError: it has an operator, or a form of one, that is not known.
        BackendError: it does not compute what its graph says, or memory ran out.
    """

    def __init__(self, graph: Graph) -> None:
        self._shapes = dict(graph.inputs)
        self._network = Network(graph, usable_threads(), called=NAME)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return EngineInfo(
            backend=NAME,
            device=platform.processor() or platform.machine(),
            precision="fp32",
            versions={"ctpdeploy": __version__},
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        return run_slices(self._network.run, batch, self._shapes, at_once=1)


def usable_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
