"""The merged network as a list of operators, read without the ``onnx`` package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.bundle.onnx_proto import (
    AttributeProto,
    AttributeType,
    DataType,
    Dimension,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TensorShapeProto,
    TensorType,
    TypeProto,
    ValueInfoProto,
)
from ctpdeploy.runtime.bundle.protobuf import Message

__all__ = ["Graph", "Node", "read_graph"]

Value = int | float | str | list[int]
"""Of an attribute: the kinds that the operators here have."""

_TYPES: Final = {DataType.FLOAT: "<f4", DataType.INT64: "<i8", DataType.DOUBLE: "<f8"}
"""NumPy's name of a type."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator.

    Attributes:
        operator: its name in the ONNX standard.
        inputs: names of tensors; empty where an optional one is left out.
        output: name of its output.
        attributes: by name, without lists of fractions.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Value]

    def numbers(self, name: str, default: list[int]) -> list[int]:
        """An attribute of several integers."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, list) else default


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A network.

    Attributes:
        nodes: in an order in which they can run.
        constants: weights and other constants by name; read-only.
        inputs: shapes ``(C, H, W)`` by name.
        outputs: names.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]


def read_graph(content: bytes) -> Graph:
    """Read an ONNX file that :func:`ctpdeploy.runtime.bundle.onnx_check.check_onnx` let pass.

    Raises:
        ValueError: it has a tensor of another type than float32, float64 or int64, or an operator with several outputs.
    """
    graph = Message(memoryview(content)).one(ModelProto.graph)
    tensors = graph.messages(GraphProto.initializer)
    return Graph(
        nodes=tuple(_node(node) for node in graph.messages(GraphProto.node)),
        constants={tensor.text(TensorProto.name): _array(tensor) for tensor in tensors},
        inputs={value.text(ValueInfoProto.name): _slice_shape(value) for value in graph.messages(GraphProto.input)},
        outputs=tuple(value.text(ValueInfoProto.name) for value in graph.messages(GraphProto.output)),
    )


def _slice_shape(value: Message) -> tuple[int, ...]:
    """Shape of an input without its batch axis."""
    tensor = value.one(ValueInfoProto.type).one(TypeProto.tensor_type)
    axes = tensor.one(TensorType.shape).messages(TensorShapeProto.dim)
    return tuple(sum(axis.numbers(Dimension.dim_value)) for axis in axes[1:])


def _node(node: Message) -> Node:
    names = (node.raw(NodeProto.input), node.raw(NodeProto.output))
    inputs, outputs = ([bytes(name).decode() for name in field] for field in names)
    operator = node.text(NodeProto.op_type)
    if len(outputs) != 1:
        raise ValueError(f"its operator {operator} has {len(outputs)} outputs")
    attributes = {
        attribute.text(AttributeProto.name): _attribute(attribute) for attribute in node.messages(NodeProto.attribute)
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return Node(operator=operator, inputs=tuple(inputs), output=outputs[0], attributes=known)


def _attribute(attribute: Message) -> Value | None:
    match attribute.numbers(AttributeProto.type):
        case [AttributeType.FLOAT]:
            return float(np.frombuffer(attribute.raw(AttributeProto.f)[0], "<f4")[0])
        case [AttributeType.INT]:
            return _signed(attribute.numbers(AttributeProto.i)[0])
        case [AttributeType.STRING]:
            return attribute.text(AttributeProto.s)
        case [AttributeType.INTS]:
            return [_signed(number) for number in attribute.numbers(AttributeProto.ints)]
    return None


def _array(tensor: Message) -> NDArray[Any]:
    name, shape = tensor.text(TensorProto.name), tensor.numbers(TensorProto.dims)
    (kind,) = tensor.numbers(TensorProto.data_type)
    if kind not in _TYPES:
        raise ValueError(f"its constant '{name}' is neither float32, float64 nor int64")
    if tensor.has(TensorProto.raw_data):
        return np.frombuffer(tensor.raw(TensorProto.raw_data)[0], _TYPES[kind]).reshape(shape)
    if kind == DataType.INT64:
        return np.array([_signed(number) for number in tensor.numbers(TensorProto.int64_data)], dtype=np.int64).reshape(
            shape
        )
    field = TensorProto.float_data if kind == DataType.FLOAT else TensorProto.double_data
    content = b"".join(tensor.raw(field))
    return np.frombuffer(content, _TYPES[kind]).reshape(shape)


def _signed(number: int) -> int:
    """A varint as the signed number of 64 bits that it stands for."""
    return number - (1 << 64) if number >> 63 else number
