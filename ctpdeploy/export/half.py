"""Half precision written into a graph: casts and half weights, no flags of a builder.

Convolutions multiply in half. What only selects or clamps (ReLU, pooling, concatenation) rounds to the same numbers
before and after, so it goes along where its neighbours are half. Everything else stays an island of float32: the
statistics, scale and shift of normalisation, squeeze and excitation, sums, softmax. Inputs and outputs of the graph
stay float32.

ONNX Runtime on the CPU has no arithmetic in half: it computes in float32 and drops the casts in between, so that errors
measured there would be those of rounded weights alone. :func:`with_rounding` keeps it from that.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["CONVOLUTIONS", "convolutions_of", "layer_of", "to_half", "with_rounding"]

CONVOLUTIONS: Final = ("Conv", "ConvTranspose")
"""Operators that multiply, and are worth another precision."""

_TRANSPARENT: Final = ("Relu", "MaxPool", "Concat", "Identity")
"""Operators that commute with rounding."""

_MARK: Final[dict[int, str]] = {TensorProto.FLOAT16: "half", TensorProto.FLOAT: "single"}


def convolutions_of(graph: onnx.GraphProto) -> list[NodeProto]:
    """The convolutions of images, which are all the work.

    Those of Squeeze-and-Excitation act on the means of a slice, one pixel, and stay in float32 as what gave these.
    """
    columns, found = set[str](), list[NodeProto]()
    for node in graph.node:
        if node.op_type == "ReduceMean" or (node.op_type in ("Conv", "Relu") and node.input[0] in columns):
            columns |= {*node.output}
        elif node.op_type in CONVOLUTIONS:
            found.append(node)
    return found


def layer_of(node: NodeProto) -> str:
    """Name of a convolution: that of its weight."""
    return str(node.input[1]).removesuffix(".weight")


def to_half(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """A copy of a float32 network whose convolutions work in half.

    Args:
        model: with nodes in the order in which they run.
        keep: layers that stay in float32.
    """
    half = _half_nodes(model.graph, keep)
    writer = _Writer(model.graph)
    for index, node in enumerate(model.graph.node):
        writer.add(node, TensorProto.FLOAT16 if index in half else TensorProto.FLOAT)
    converted = helper.make_model(writer.finish(), opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(converted, full_check=True)
    _check_edges(converted)
    return converted


def with_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that rounds every half tensor to half on the CPU too, as a GPU does; to be measured, not published.

    ONNX Runtime joins the casts that it puts around a node for which it has no arithmetic. A reshape, which it does
    carry out in half, stands between them here. Sums are of float32, as in the matrix units of GPUs.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    halves = {v.name for v in inferred.value_info if v.type.tensor_type.elem_type == TensorProto.FLOAT16}
    if not halves:
        return model
    graph = helper.make_graph([], model.graph.name, model.graph.input, model.graph.output, model.graph.initializer)
    graph.initializer.append(helper.make_tensor("as_it_is", TensorProto.INT64, [4], [0, 0, 0, 0]))
    for node in model.graph.node:
        copied = graph.node.add()
        copied.CopyFrom(node)
        for position, name in enumerate(node.output):
            if name in halves:
                copied.output[position] = f"{name}/unrounded"
                graph.node.append(helper.make_node("Reshape", [f"{name}/unrounded", "as_it_is"], [name]))
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _half_nodes(graph: onnx.GraphProto, keep: Collection[str]) -> set[int]:
    """Indices of the nodes that work in half: convolutions, and transparent ones between nothing but half."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    takers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            takers.setdefault(name, []).append(index)
    edges = {value.name for value in (*graph.input, *graph.output)}
    convolutions = {node.output[0] for node in convolutions_of(graph) if layer_of(node) not in keep}
    half = {i for i, node in enumerate(graph.node) if node.output[0] in convolutions}

    def surrounded(node: NodeProto) -> bool:
        before = all(makers.get(name) in half for name in node.input)
        after = all(name not in edges and all(i in half for i in takers.get(name, ())) for name in node.output)
        return before or after

    grown = True
    while grown:
        more = {i for i, node in enumerate(graph.node) if node.op_type in _TRANSPARENT and surrounded(node)} - half
        half |= more
        grown = bool(more)
    return half


class _Writer:
    """Writes nodes again, each in its own number format, with casts where formats meet."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._outputs = {value.name for value in graph.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._kinds: dict[str, int] = {value.name: TensorProto.FLOAT for value in graph.input}
        self._nodes: list[NodeProto] = []
        self._used: dict[str, TensorProto] = {}

    def add(self, original: NodeProto, kind: int) -> None:
        """Write a node that works in ``kind``."""
        node = NodeProto()
        node.CopyFrom(original)
        node.input[:] = [self._read(name, kind) for name in original.input]
        for position, name in enumerate(original.output):
            self._kinds[name] = kind
            if name in self._outputs and kind != TensorProto.FLOAT:
                node.output[position] = f"{name}/{_MARK[kind]}"
                self._kinds |= {node.output[position]: kind, name: TensorProto.FLOAT}
        self._nodes.append(node)
        for inside, name in zip(node.output, original.output, strict=True):
            if inside != name:
                self._cast(inside, name, TensorProto.FLOAT)

    def finish(self) -> onnx.GraphProto:
        """The graph, with the weights that are still used."""
        graph = self._graph
        return helper.make_graph(self._nodes, graph.name, graph.input, graph.output, list(self._used.values()))

    def _read(self, name: str, kind: int) -> str:
        """Name of a tensor in a number format; casts it on first use."""
        if name in self._constants:
            constant = self._constants[name]
            if constant.data_type == TensorProto.FLOAT and kind != TensorProto.FLOAT:
                constant = _rounded(constant)
            self._used[constant.name] = constant
            return str(constant.name)
        if name not in self._kinds or self._kinds[name] == kind:
            return name
        cast = f"{name}/{_MARK[kind]}"
        if cast not in self._kinds:
            self._cast(name, cast, kind)
        return cast

    def _cast(self, name: str, result: str, kind: int) -> None:
        self._nodes.append(helper.make_node("Cast", [name], [result], name=f"{result}/cast", to=kind))
        self._kinds[result] = kind


def _rounded(constant: TensorProto) -> TensorProto:
    with np.errstate(over="ignore"):  # becomes infinity, which the gate finds
        values = numpy_helper.to_array(constant).astype(np.float16)
    return numpy_helper.from_array(values, f"{constant.name}/half")


def _check_edges(model: onnx.ModelProto) -> None:
    """Require float32 of inputs and outputs, whatever was converted between."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise AssertionError(f"{value.name} is not float32 after conversion")
