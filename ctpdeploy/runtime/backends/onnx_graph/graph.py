"""The merged network as a list of operators, read without the ``onnx`` package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.bundle.protobuf import Message

__all__ = ["Graph", "Node", "read_graph"]

Value = int | float | str | list[int]
"""Of an attribute: the kinds that the operators here have."""

_TYPES: Final = {1: "<f4", 7: "<i8", 11: "<f8"}
"""NumPy's name by ``TensorProto.DataType``."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator.

    Attributes:
        operator: its name in the ONNX standard.
        inputs: names of tensors; empty where an optional one is left out.
        output: name of the tensor it makes.
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
        inputs: ``(C, H, W)`` of what goes in, by name.
        outputs: names of what comes out.
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
    graph = Message(memoryview(content)).one(7)
    tensors = graph.messages(5)
    return Graph(
        nodes=tuple(_node(node) for node in graph.messages(1)),
        constants={tensor.text(8): _array(tensor) for tensor in tensors},
        inputs={value.text(1): _slice_shape(value) for value in graph.messages(11)},
        outputs=tuple(value.text(1) for value in graph.messages(12)),
    )


def _slice_shape(value: Message) -> tuple[int, ...]:
    """Shape of an input without its batch axis."""
    axes = value.one(2).one(1).one(2).messages(1)
    return tuple(sum(axis.numbers(1)) for axis in axes[1:])


def _node(node: Message) -> Node:
    inputs, outputs = ([bytes(name).decode() for name in node.raw(field)] for field in (1, 2))
    operator = node.text(4)
    if len(outputs) != 1:
        raise ValueError(f"its operator {operator} has {len(outputs)} outputs")
    attributes = {attribute.text(1): _attribute(attribute) for attribute in node.messages(5)}
    known = {name: value for name, value in attributes.items() if value is not None}
    return Node(operator=operator, inputs=tuple(inputs), output=outputs[0], attributes=known)


def _attribute(attribute: Message) -> Value | None:
    match attribute.numbers(20):  # AttributeProto.AttributeType
        case [1]:
            return float(np.frombuffer(attribute.raw(2)[0], "<f4")[0])
        case [2]:
            return _signed(attribute.numbers(3)[0])
        case [3]:
            return attribute.text(4)
        case [7]:
            return [_signed(number) for number in attribute.numbers(8)]
    return None


def _array(tensor: Message) -> NDArray[Any]:
    name, (kind,), shape = tensor.text(8), tensor.numbers(2), tensor.numbers(1)
    if kind not in _TYPES:
        raise ValueError(f"its constant '{name}' is neither float32, float64 nor int64")
    if tensor.has(9):
        return np.frombuffer(tensor.raw(9)[0], _TYPES[kind]).reshape(shape)
    if kind == 7:
        return np.array([_signed(number) for number in tensor.numbers(7)], dtype=np.int64).reshape(shape)
    content = b"".join(tensor.raw(4 if kind == 1 else 10))
    return np.frombuffer(content, _TYPES[kind]).reshape(shape)


def _signed(number: int) -> int:
    """A varint as the signed number of 64 bits that it stands for."""
    return number - (1 << 64) if number >> 63 else number
