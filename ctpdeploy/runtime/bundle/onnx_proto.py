"""Field numbers and enumerations of ``onnx.proto``, those that are read here, under the standard's own names."""

from typing import Final

__all__ = [
    "AttributeProto",
    "AttributeType",
    "DataType",
    "Dimension",
    "GraphProto",
    "ModelProto",
    "NodeProto",
    "OperatorSetIdProto",
    "StringStringEntryProto",
    "TensorProto",
    "TensorShapeProto",
    "TensorType",
    "TypeProto",
    "ValueInfoProto",
]


class ModelProto:
    """A model: a graph, its operator sets, and functions of its own."""

    graph: Final = 7
    opset_import: Final = 8
    training_info: Final = 20
    functions: Final = 25


class OperatorSetIdProto:
    """The version of a domain's operators."""

    domain: Final = 1
    version: Final = 2


class GraphProto:
    """A graph: nodes, constants, inputs and outputs."""

    node: Final = 1
    initializer: Final = 5
    input: Final = 11
    output: Final = 12
    sparse_initializer: Final = 15


class NodeProto:
    """One operator."""

    input: Final = 1
    output: Final = 2
    op_type: Final = 4
    attribute: Final = 5
    domain: Final = 7


class AttributeProto:
    """An attribute of an operator."""

    name: Final = 1
    f: Final = 2
    i: Final = 3
    s: Final = 4
    t: Final = 5
    g: Final = 6
    ints: Final = 8
    tensors: Final = 10
    graphs: Final = 11
    type: Final = 20
    sparse_tensor: Final = 22
    sparse_tensors: Final = 23


class AttributeType:
    """``AttributeProto.AttributeType``: the field that holds an attribute's value."""

    FLOAT: Final = 1
    INT: Final = 2
    STRING: Final = 3
    INTS: Final = 7


class TensorProto:
    """A constant tensor, its elements in one of several fields."""

    dims: Final = 1
    data_type: Final = 2
    float_data: Final = 4
    int32_data: Final = 5
    int64_data: Final = 7
    name: Final = 8
    raw_data: Final = 9
    double_data: Final = 10
    uint64_data: Final = 11
    external_data: Final = 13
    data_location: Final = 14


class DataType:
    """``TensorProto.DataType``: the type of an element."""

    FLOAT: Final = 1
    UINT8: Final = 2
    INT8: Final = 3
    UINT16: Final = 4
    INT16: Final = 5
    INT32: Final = 6
    INT64: Final = 7
    BOOL: Final = 9
    FLOAT16: Final = 10
    DOUBLE: Final = 11
    UINT32: Final = 12
    UINT64: Final = 13
    UINT4: Final = 21
    INT4: Final = 22


class StringStringEntryProto:
    """A key and its value, such as the place of a tensor outside the file."""

    key: Final = 1
    value: Final = 2


class ValueInfoProto:
    """Name and type of an input or output."""

    name: Final = 1
    type: Final = 2


class TypeProto:
    """A type, here always a tensor's."""

    tensor_type: Final = 1


class TensorType:
    """``TypeProto.Tensor``: element type and shape."""

    elem_type: Final = 1
    shape: Final = 2


class TensorShapeProto:
    """A shape."""

    dim: Final = 1


class Dimension:
    """``TensorShapeProto.Dimension``: a number, or the name of a free axis."""

    dim_value: Final = 1
    dim_param: Final = 2
