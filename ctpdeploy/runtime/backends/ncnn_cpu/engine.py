"""ncnn on the CPU: the backend with Winograd convolutions."""

from typing import Final

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.faults import phrase
from ctpdeploy.runtime.backends.ncnn_cpu.network import EXTRA, Network, ncnn_package
from ctpdeploy.runtime.backends.ncnn_cpu.translate import translate
from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph
from ctpdeploy.runtime.backends.onnx_graph.self_test import compare_with_reference
from ctpdeploy.runtime.backends.onnx_graph.shapes import infer_shapes
from ctpdeploy.runtime.backends.packages import refusal_of, versions_of
from ctpdeploy.runtime.backends.processor import processor_name, usable_cores
from ctpdeploy.runtime.backends.slice_engine import SliceEngine
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKEND", "NAME", "open_engine", "unavailable_because"]

NAME: Final = "ncnn"
_PACKAGES: Final = ("ncnn",)

_AT_ONCE: Final = 2
"""Slices that run at the same time: while the threads of one wait for each other, the other's work."""


def unavailable_because() -> str | None:
    """Reason why the backend cannot run here and the remedy, or None if it can."""
    return refusal_of(ncnn_package)


def open_engine(bundle: Bundle) -> SliceEngine:
    """Translate the merged network of a bundle, load it and compare it with NumPy; all threads share a slice's work.

    Raises:
        BackendError: ncnn is missing, cannot run the network, or computes it wrongly.
        InputError: the bundle is damaged.
    """
    info = EngineInfo(backend=NAME, device=processor_name(), precision="fp32", versions=versions_of(*_PACKAGES))
    return SliceEngine(_open_network(bundle, PIPELINE), bundle.networks[PIPELINE], info, at_once=_AT_ONCE)


def _open_network(bundle: Bundle, role: str) -> Network:
    content = bundle.network_content(role)
    try:
        graph = read_graph(content)
        layers = translate(graph)
        infer_shapes(graph)  # ncnn's layers trust the shapes that they are handed
        network = Network(layers, threads=_threads())
        compare_with_reference(network.run, graph, called=NAME)
    except ValueError as error:
        called = bundle.source / bundle.networks[role].file
        raise BackendError(
            f"The backend {NAME} cannot run {called}, because {phrase(error)}: use another one."
        ) from error
    return network


def _threads() -> int:
    """Cores that this process may use, without those that only seem to be."""
    return max(1, min(usable_cores(), ncnn_package().get_physical_cpu_count()))


BACKEND: Final = Backend(
    extra=EXTRA,
    packages=_PACKAGES,
    open=open_engine,
    unavailable_because=unavailable_because,
    open_network=_open_network,
)
