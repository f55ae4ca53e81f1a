"""The numbers are those of the ``onnx`` package's descriptors."""

from typing import Any

import onnx
import pytest

from ctpdeploy.runtime.bundle import onnx_proto

NESTED = {"TensorType": onnx.TypeProto.Tensor, "Dimension": onnx.TensorShapeProto.Dimension}
ENUMERATIONS = {"AttributeType": onnx.AttributeProto.AttributeType, "DataType": onnx.TensorProto.DataType}


def numbers(name: str) -> dict[str, int]:
    return {key: value for key, value in vars(getattr(onnx_proto, name)).items() if not key.startswith("_")}


def standard(name: str) -> dict[str, Any]:
    if name in ENUMERATIONS:
        return dict(ENUMERATIONS[name].items())
    message = NESTED.get(name) or getattr(onnx, name)
    return {field.name: field.number for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize("name", onnx_proto.__all__)
def test_the_numbers_are_the_standards(name: str):
    assert numbers(name)
    assert numbers(name).items() <= standard(name).items()
