"""ncnn on the CPU: the backend with Winograd convolutions."""

import importlib.metadata
import os
import platform
from typing import Final

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import available
from ctpdeploy.runtime.backends.ncnn_cpu.network import EXTRA, Network, ncnn_package
from ctpdeploy.runtime.backends.ncnn_cpu.translate import translate
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, read_graph
from ctpdeploy.runtime.backends.onnx_graph.self_test import check
from ctpdeploy.runtime.backends.onnx_graph.slices import run_slices
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["NAME", "NcnnEngine", "open_engine", "unavailable_because", "usable_threads"]

NAME = "ncnn"

_AT_ONCE: Final = 2
"""Slices that run at the same time: while the threads of one wait for each other, the other's work."""


def unavailable_because() -> str | None:
    """Why the backend cannot run here and what to do, or None if it can."""
    if not available("ncnn"):
        return f"ncnn is not installed: run pip install 'ctpdeploy[{EXTRA}]'."
    if not hasattr(ncnn_package(), "Net"):
        return "ncnn is half removed: run pip install --force-reinstall ncnn."
    return None


def open_engine(bundle: Bundle) -> "NcnnEngine":
    """Translate the merged network of a bundle, load it and compare it with NumPy.

    Raises:
        BackendError: ncnn is missing, cannot run the network, or computes it wrongly.
        InputError: the bundle is damaged.
    """
    reason = unavailable_because()
    if reason is not None:
        raise BackendError(f"The backend {NAME} cannot run: {reason}")
    content = bundle.network_content(PIPELINE)
    try:
        return NcnnEngine(read_graph(content))
    except ValueError as error:
        called = bundle.source / bundle.networks[PIPELINE].file
        raise BackendError(f"The backend {NAME} cannot run {called}, because {error}: use another one.") from error


class NcnnEngine:
    """The merged network in ncnn.

    All threads share the work on a slice. Slices of air, all zeros, are answered once in a batch.

    Args:
        graph: the merged network.

    Raises:
        ValueError: it has what ncnn's layers here have no form for.
        BackendError: ncnn refuses it, or computes it wrongly.
    """

    def __init__(self, graph: Graph) -> None:
        self._shapes = dict(graph.inputs)
        self._network = Network(translate(graph), threads=usable_threads())
        check(self._network.run, graph, called=NAME)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return EngineInfo(
            backend=NAME,
            device=platform.processor() or platform.machine(),
            precision="fp32",
            versions={"ncnn": importlib.metadata.version("ncnn")},
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        return run_slices(self._network.run, batch, self._shapes, at_once=_AT_ONCE)


def usable_threads() -> int:
    """Cores that this process may use, without those that only seem to be."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, ncnn_package().get_physical_cpu_count()))
