"""Operators one by one against ONNX Runtime: the twin in NumPy, ncnn and the kernels."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from support.operator_networks import NETWORKS, model, normal

from ctpdeploy.runtime.backends.native.library import unavailable_because
from ctpdeploy.runtime.backends.native.network import Network as NativeNetwork
from ctpdeploy.runtime.backends.ncnn_cpu.network import Network as NcnnNetwork
from ctpdeploy.runtime.backends.ncnn_cpu.translate import translate
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, read_graph
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import evaluate

Run = Callable[[Graph, np.ndarray], np.ndarray]


def of_twin(graph: Graph, x: np.ndarray) -> np.ndarray:
    return evaluate(graph, {"x": x})[graph.outputs[0]]


def of_ncnn(graph: Graph, x: np.ndarray) -> np.ndarray:
    return NcnnNetwork(translate(graph), 2).run({"x": x[0]})[graph.outputs[0]]


def of_native(graph: Graph, x: np.ndarray) -> np.ndarray:
    if (reason := unavailable_because()) is not None:
        pytest.skip(reason)
    return NativeNetwork(graph, 2, called="native").run({"x": x[0]})[graph.outputs[0]]


@pytest.mark.parametrize("size", [16, 9])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("run", "tolerance"), [(of_twin, 1e-6), (of_ncnn, 5e-6), (of_native, 5e-6)])
def test_an_operator(name: str, run: Run, tolerance: float, size: int):
    content = model(NETWORKS[name], size).SerializeToString()
    x = normal(1, 6, size, size) + np.float32(0.3)
    (expected,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = run(read_graph(content), x)
    assert found.size == expected.size
    assert np.abs(found.reshape(expected.shape) - expected).max() <= tolerance * np.abs(expected).max()
