"""Shapes inferred before anything runs: those that NumPy makes, and a refusal where it or a kernel would fail."""

from dataclasses import replace

import numpy as np
import pytest
from support.operator_networks import NETWORKS, model, normal, whole

from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node, read_graph
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import OPERATORS
from ctpdeploy.runtime.backends.onnx_graph.operators import check_operators
from ctpdeploy.runtime.backends.onnx_graph.shapes import infer_shapes


@pytest.mark.parametrize("size", [16, 9])
@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_are_those_of_the_reference(name: str, size: int):
    graph = read_graph(model(NETWORKS[name], size).SerializeToString())
    check_operators(graph)
    x = normal(1, 6, size, size)
    found = infer_shapes(graph, {"x": x.shape})
    tensors = {"x": x}
    for node in graph.nodes:
        operands = [tensors.get(of, graph.constants.get(of, np.empty(0))) for of in node.inputs]
        tensors[node.output] = OPERATORS[node.operator](node, *operands)
    assert found == {of: array.shape for of, array in tensors.items()}


def network(operator: str, inputs: str, constants: dict[str, np.ndarray] | None = None, **attributes: object) -> Graph:
    node = Node(operator=operator, inputs=tuple(inputs.split()), output="y", attributes=attributes)  # type: ignore[arg-type]
    return Graph(nodes=(node,), constants=constants or {}, inputs={"x": (6, 8, 8), "z": (4, 8, 8)}, outputs=("y",))


CONV = {"strides": [1, 1], "pads": [1, 1, 1, 1]}
UP = {"strides": [2, 2], "pads": [0, 0, 0, 0]}
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}

WRONG: dict[str, tuple[Graph, str]] = {
    "channels of a sum": (network("Add", "x z"), "cannot be broadcast"),
    "a column of others": (network("Mul", "x c", {"c": normal(4, 1, 1)}), "and"),
    "a row in the place of a column": (network("Add", "x c", {"c": normal(1, 1, 8, 1)}), "and"),
    "channels of a convolution": (network("Conv", "z w", {"w": normal(8, 6, 3, 3)}, **CONV), "6 channels beside 4"),
    "a bias too short": (
        network("Conv", "x w b", {"w": normal(8, 6, 3, 3), "b": normal(7)}, **CONV),
        r"\(7,\) biases for 8",
    ),
    "weights that are computed": (network("Conv", "x z", **CONV), "no constant"),
    "weights of three axes": (network("Conv", "x w", {"w": normal(8, 6, 3)}, **CONV), "3 axes, not 4"),
    "a stride of none": (network("Conv", "x w", {"w": normal(8, 6, 3, 3)}, strides=[0, 1], pads=[1] * 4), "strides"),
    "a padding below none": (network("Conv", "x w", {"w": normal(8, 6, 3, 3)}, strides=[1, 1], pads=[-1] * 4), "pads"),
    "a padding as wide as the kernel": (
        network("Conv", "x w", {"w": normal(8, 6, 3, 3)}, strides=[1, 1], pads=[3] * 4),
        "padding",
    ),
    "pads of one axis": (network("Conv", "x w", {"w": normal(8, 6, 3, 3)}, strides=[1, 1], pads=[1, 1]), "pads"),
    "a kernel larger than a slice": (network("Conv", "x w", {"w": normal(8, 6, 9, 9)}), "would make a tensor"),
    "a transposed convolution": (
        network("ConvTranspose", "z w", {"w": normal(6, 8, 2, 2)}, **UP),
        "6 channels beside 4",
    ),
    "a pool without a size": (network("MaxPool", "x", strides=[2, 2]), "kernel_shape"),
    "a pool as wide as what pads it": (
        network("MaxPool", "x", kernel_shape=[200, 200], strides=[1, 1], pads=[100] * 4),
        "kernel_shape",
    ),
    "a pool of none": (network("MaxPool", "x", kernel_shape=[0, 2]), "kernel_shape"),
    "statistics of others": (
        network("BatchNormalization", "x v v v v", {"v": normal(4)}, epsilon=1e-5),
        "biases for 6 channels",
    ),
    "statistics without epsilon": (
        network("BatchNormalization", "x v v v v", {"v": normal(6)}),
        "lacks an input or attribute .*epsilon",
    ),
    "images of two sizes": (network("Concat", "x c", {"c": normal(1, 2, 4, 4)}), r"\(1, 2, 4, 4\)"),
    "a matrix of others": (
        network("Gemm", "v w b", {"v": normal(1, 5), "w": normal(3, 6), "b": normal(3)}),
        "and weights",
    ),
    "an index behind the last": (network("Gather", "x i", {"i": np.array(6)}), "index 6"),
    "an index of several": (network("Gather", "x i", {"i": whole(1, 2)}), "1 axes, not 0"),
    "a mean over no axis": (network("ReduceMean", "x a", {"a": whole()}, keepdims=1), "axes"),
    "a mean over an axis that is not": (network("ReduceMean", "x a", {"a": whole(4)}, keepdims=1), "axes"),
    "a mean over one axis twice": (network("ReduceMean", "x a", {"a": whole(2, 2)}, keepdims=1), "axes"),
    "a slice of nothing": (
        network("Slice", "x a b c", {"a": whole(3), "b": whole(3), "c": whole(1)}),
        "channels 3 to 3",
    ),
    "a slice with steps": (
        network("Slice", "x a b c d", {"a": whole(0), "b": whole(3), "c": whole(1), "d": whole(2)}),
        "steps",
    ),
    "an input that is not": (network("Relu", "w"), "lacks an input"),
    "an input too few": (network("Add", "x"), "lacks an input"),
    "a tensor made twice": (replace(network("Relu", "x"), constants={"y": normal(1)}), "made twice"),
    "an output that nothing makes": (replace(network("Relu", "x"), outputs=("w",)), "nothing makes its output 'w'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_operators_that_cannot_take_their_inputs_are_refused_by_name(name: str):
    graph, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        infer_shapes(graph, {name: (1, *shape) for name, shape in graph.inputs.items()})


@pytest.mark.parametrize("pool", [POOL])
def test_a_slice_that_cannot_be_halved_is_refused_in_time(pool: dict[str, object]):
    graph = network("MaxPool", "x", **pool)
    assert infer_shapes(graph, {"x": (1, 6, 3, 3), "z": (1, 4, 1, 1)})["y"] == (1, 6, 1, 1)
    with pytest.raises(ValueError, match=r"would make a tensor of \(1, 6, 0, 0\)"):
        infer_shapes(graph, {"x": (1, 6, 1, 1), "z": (1, 4, 1, 1)})
