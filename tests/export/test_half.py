"""Graphs in float16."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from ctpdeploy.export.half import CONVOLUTIONS, to_half, with_rounding
from ctpdeploy.export.precision import Graphs
from ctpdeploy.runtime.backends.ort_cpu import session_options


def two_convolutions() -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """x -> conv -> ReLU -> conv -> y, with weights of which none is a half."""
    generator = np.random.default_rng(1)
    first, second = (generator.normal(size=(4, n, 3, 3)).astype(np.float32) for n in (6, 4))
    nodes = [
        helper.make_node("Conv", ["x", "first.weight"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "second.weight"], ["y"], pads=[1] * 4),
    ]
    edges = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c, 16, 16])] for n, c in (("x", 6), ("y", 4))]
    weights = [numpy_helper.from_array(first, "first.weight"), numpy_helper.from_array(second, "second.weight")]
    graph = helper.make_graph(nodes, "two", *edges, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), first, second


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options())
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16).astype(np.float32)


def convolve(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), padding=1).numpy()


def test_rounding_is_that_of_half_tensors():
    """Against a rounding of each tensor by numpy; without ``with_rounding`` ONNX Runtime rounds weights alone."""
    model, first, second = two_convolutions()
    x = np.random.default_rng(2).normal(size=(2, 6, 16, 16)).astype(np.float32)
    hidden = np.maximum(half(convolve(half(x), half(first))), 0)
    expected = half(convolve(hidden, half(second)))
    converted_model = to_half(model)
    got = run(with_rounding(converted_model), x)
    ulp = np.spacing(np.abs(expected).max().astype(np.float16)).astype(np.float32)
    np.testing.assert_array_equal(got, half(got))
    assert np.abs(got - expected).max() <= 2 * ulp  # sums in another order may round to the neighbour
    assert (got == expected).mean() > 0.5
    unrounded = run(converted_model, x)
    assert (unrounded == half(unrounded)).mean() < 0.01, "ONNX Runtime rounds by itself: with_rounding can go"


def test_a_kept_layer_keeps_its_weights_and_its_input():
    model, _, _ = two_convolutions()
    mixed = to_half(model, keep={"second"})
    kinds = {tensor.name: tensor.data_type for tensor in mixed.graph.initializer}
    assert kinds == {"first.weight/half": TensorProto.FLOAT16, "second.weight": TensorProto.FLOAT}
    x = np.random.default_rng(2).normal(size=(1, 6, 16, 16)).astype(np.float32)
    assert np.abs(run(mixed, x) - run(model, x)).max() < np.abs(run(to_half(model), x) - run(model, x)).max()
    assert to_half(model, keep={"first", "second"}).SerializeToString() == model.SerializeToString()


def test_only_convolutions_and_what_selects_are_half(graphs: Graphs):
    model = to_half(graphs["segmenter"])
    kinds = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    found = Counter(node.op_type for node in model.graph.node if kinds.get(node.output[0]) == TensorProto.FLOAT16)
    assert (found["Conv"], found["ConvTranspose"]) == (19, 4)
    assert set(found) <= {*CONVOLUTIONS, "Relu", "MaxPool", "Concat", "Cast"}
    columns = [node for node in model.graph.node if node.op_type == "Conv" and "squeeze_excite" in node.input[1]]
    assert [kinds[node.output[0]] for node in columns] == 10 * [TensorProto.FLOAT], "squeeze and excitation"
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
