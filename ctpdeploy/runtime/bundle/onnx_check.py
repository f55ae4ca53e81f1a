"""An ONNX file looked into before an engine loads it, without the ``onnx`` package.

Refused are: weights in another file, wherever it may lie; operators, functions or subgraphs that bring code or loops;
another operator set, other inputs or outputs than the manifest states; tensors larger than their bytes; NaN and
infinity in weights.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.printable import printable
from ctpdeploy.runtime.bundle.onnx_proto import (
    AttributeProto,
    DataType,
    Dimension,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    StringStringEntryProto,
    TensorProto,
    TensorShapeProto,
    TensorType,
    TypeProto,
    ValueInfoProto,
)
from ctpdeploy.runtime.bundle.protobuf import Message

__all__ = ["check_onnx"]

Shapes = Mapping[str, list[int | str]]

_BITS: Final = {
    **dict.fromkeys((DataType.UINT4, DataType.INT4), 4),
    **dict.fromkeys((DataType.UINT8, DataType.INT8, DataType.BOOL), 8),
    **dict.fromkeys((DataType.UINT16, DataType.INT16, DataType.FLOAT16), 16),
    **dict.fromkeys((DataType.UINT32, DataType.INT32, DataType.FLOAT), 32),
    **dict.fromkeys((DataType.UINT64, DataType.INT64, DataType.DOUBLE), 64),
}
"""Width of an element by its type; types that are not here (text, complex) are refused."""
_FLOATS: Final[Mapping[int, str]] = {DataType.FLOAT: "<f4", DataType.FLOAT16: "<f2", DataType.DOUBLE: "<f8"}
"""NumPy's name of a floating-point type."""

_NUMBERS: Final = (
    TensorProto.float_data,
    TensorProto.int32_data,
    TensorProto.int64_data,
    TensorProto.double_data,
    TensorProto.uint64_data,
)
"""Fields of a tensor that hold elements one by one."""

_SUBGRAPHS: Final = (
    AttributeProto.g,
    AttributeProto.graphs,
    AttributeProto.sparse_tensor,
    AttributeProto.sparse_tensors,
)

_STANDARD: Final = ("", "ai.onnx")

_LONGEST: Final = 300
"""Characters of a reason, which may quote the file."""


def check_onnx(content: bytes, *, inputs: Shapes, outputs: Shapes, opset: int, where: str) -> None:
    """Refuse a file that is not the plain, self-contained network that the manifest describes.

    Args:
        content: the whole file.
        inputs: shapes by name; text is the name of a free axis. All are float32.
        outputs: likewise.
        opset: ONNX operator set.
        where: path of the file in error messages.

    Raises:
        InputError: with the first thing found.
    """
    try:
        model = Message(memoryview(content))
        _check_model(model, opset)
        graph = model.one(ModelProto.graph)
        for kind, field, stated in (("inputs", GraphProto.input, inputs), ("outputs", GraphProto.output, outputs)):
            found = dict(_shape(value) for value in graph.messages(field))
            if found != dict(stated):
                raise ValueError(f"its {kind} are {found}, in bundle.json {dict(stated)}")
        for tensor in _tensors(graph):
            _check_tensor(tensor)
    except ValueError as error:
        reason = printable(str(error), _LONGEST)
        raise InputError(f"{where} is refused ({reason}): copy or export the bundle again.") from error


def _check_model(model: Message, opset: int) -> None:
    if model.has(ModelProto.training_info) or model.has(ModelProto.functions):
        raise ValueError("it brings functions of its own")
    sets = [
        (entry.text(OperatorSetIdProto.domain), entry.numbers(OperatorSetIdProto.version))
        for entry in model.messages(ModelProto.opset_import)
    ]
    strange = [domain for domain, _ in sets if domain not in _STANDARD]
    if strange:
        raise ValueError(f"it uses operators of the domain '{strange[0]}'")
    if [version for _, version in sets] != [[opset]]:
        raise ValueError(f"it uses opset {[version for _, versions in sets for version in versions]}, not {opset}")


def _shape(value: Message) -> tuple[str, list[int | str]]:
    """Name and shape of an input or output, which has to be float32."""
    name, tensor = value.text(ValueInfoProto.name), value.one(ValueInfoProto.type).one(TypeProto.tensor_type)
    if tensor.numbers(TensorType.elem_type) != [DataType.FLOAT]:
        raise ValueError(f"'{name}' is not float32")
    axes = tensor.one(TensorType.shape).messages(TensorShapeProto.dim)
    return name, [axis.text(Dimension.dim_param) or sum(axis.numbers(Dimension.dim_value)) for axis in axes]


def _tensors(graph: Message) -> Iterator[Message]:
    """Weights and constants."""
    if graph.has(GraphProto.sparse_initializer):
        raise ValueError("it has sparse weights")
    yield from graph.messages(GraphProto.initializer)
    for node in graph.messages(GraphProto.node):
        if (domain := node.text(NodeProto.domain)) not in _STANDARD:
            raise ValueError(f"it uses operators of the domain '{domain}'")
        for attribute in node.messages(NodeProto.attribute):
            if any(attribute.has(field) for field in _SUBGRAPHS):
                raise ValueError(f"its operator {node.text(NodeProto.op_type)} has a graph or sparse tensors inside")
            yield from attribute.messages(AttributeProto.t)
            yield from attribute.messages(AttributeProto.tensors)


def _check_tensor(tensor: Message) -> None:
    name, kind = tensor.text(TensorProto.name), tensor.numbers(TensorProto.data_type)
    if tensor.has(TensorProto.external_data) or any(tensor.numbers(TensorProto.data_location)):
        places = {
            entry.text(StringStringEntryProto.key): entry.text(StringStringEntryProto.value)
            for entry in tensor.messages(TensorProto.external_data)
        }
        raise ValueError(f"it keeps the weights '{name}' outside, in '{places.get('location', '')}'")
    if len(kind) != 1 or kind[0] not in _BITS:
        raise ValueError(f"the weights '{name}' have a type that no network here has")
    raw, dims = tensor.raw(TensorProto.raw_data), tensor.numbers(TensorProto.dims)
    elements = math.prod(dims)
    if len(raw) == 1 and not any(tensor.has(field) for field in _NUMBERS):
        fits = len(raw[0]) == (elements * _BITS[kind[0]] + 7) // 8
    else:  # every element takes a byte at least
        fits = not raw and elements <= sum(_bytes_of(tensor, field) for field in _NUMBERS)
    if not fits:
        raise ValueError(f"the weights '{name}' are not as large as their shape {dims[:8]} says")
    if kind[0] in _FLOATS and not np.isfinite(_values(tensor, kind[0])).all():
        raise ValueError(f"the weights '{name}' hold NaN or infinity")


def _bytes_of(tensor: Message, field: int) -> int:
    """Bytes of a field of numbers, at least one for a number."""
    return sum(max(1, len(part)) for part in tensor.raw(field))


def _values(tensor: Message, kind: int) -> NDArray[np.floating]:
    """The elements of a tensor of floating-point numbers."""
    if tensor.has(TensorProto.raw_data):
        return np.frombuffer(tensor.raw(TensorProto.raw_data)[0], _FLOATS[kind])
    if tensor.has(TensorProto.int32_data):  # half precision as numbers: their bits
        return (
            np.array(tensor.numbers(TensorProto.int32_data), dtype="<u8").astype("<u2").view(_FLOATS[DataType.FLOAT16])
        )
    return np.frombuffer(
        b"".join(tensor.raw(TensorProto.float_data) + tensor.raw(TensorProto.double_data)), _FLOATS[kind]
    )
