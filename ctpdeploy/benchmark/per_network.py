"""Each network of a bundle alone, to share the time of the chain among them."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.optional import require
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.native import engine as native
from ctpdeploy.runtime.backends.native.network import Network as NativeNetwork
from ctpdeploy.runtime.backends.ncnn_cpu import engine as ncnn_cpu
from ctpdeploy.runtime.backends.ncnn_cpu.network import Network as NcnnNetwork
from ctpdeploy.runtime.backends.ncnn_cpu.translate import translate
from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.gate.reference import Reference

__all__ = ["networks_alone"]

Inputs = dict[str, NDArray[np.float32]]


def networks_alone(bundle: Bundle, backend: str, reference: Reference) -> dict[str, Callable[[], object]]:
    """What runs one slice through a network, by its role.

    Empty for a bundle with one network, and for backends that run the merged network only.

    Raises:
        InputError: the bundle is damaged.
        BackendError: the backend refuses a network.
    """
    roles = [role for role in bundle.networks if role != PIPELINE]
    if backend not in _OPENERS or len(roles) == 1:
        return {}
    arrays = dict(reference.sources)
    for role in roles:
        (output,) = bundle.networks[role].outputs
        arrays[output] = reference.outputs[role].astype(np.float32)
    return {role: _OPENERS[backend](bundle, role, _inputs(bundle, role, arrays)) for role in roles}


def _inputs(bundle: Bundle, role: str, arrays: Mapping[str, NDArray[np.float32]]) -> Inputs:
    """What a network sees of the first slice, ``(1, C, H, W)``."""
    network = bundle.networks[role]
    (name,) = network.inputs
    return {name: np.concatenate([arrays[source][:1] for source in network.sees], axis=1)}


def _open_ort(bundle: Bundle, role: str, inputs: Inputs) -> Callable[[], object]:
    onnxruntime = require("onnxruntime", extra="cpu")
    file = bundle.network_file(role)
    session = onnxruntime.InferenceSession(file, ort_cpu.session_options(), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def _open_ncnn(bundle: Bundle, role: str, inputs: Inputs) -> Callable[[], object]:
    layers = translate(read_graph(bundle.network_content(role)))
    network = NcnnNetwork(layers, threads=ncnn_cpu.usable_threads())
    return lambda: network.run(_first(inputs))


def _open_native(bundle: Bundle, role: str, inputs: Inputs) -> Callable[[], object]:
    graph = read_graph(bundle.network_content(role))
    network = NativeNetwork(graph, threads=native.usable_threads(), called=native.NAME)
    return lambda: network.run(_first(inputs))


def _first(inputs: Inputs) -> Inputs:
    """The slice that a batch of one is."""
    return {name: array[0] for name, array in inputs.items()}


_OPENERS: Final = {ort_cpu.NAME: _open_ort, native.NAME: _open_native, ncnn_cpu.NAME: _open_ncnn}
