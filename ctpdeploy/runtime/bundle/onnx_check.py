"""An ONNX file looked into before an engine loads it, without the ``onnx`` package.

Refused are: weights in another file, wherever it may lie; operators, functions or subgraphs that bring code or loops;
another operator set, other inputs or outputs than the manifest states; tensors larger than their bytes; NaN and
infinity in weights. Field numbers are those of ``onnx.proto``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.bundle.protobuf import Message

__all__ = ["check_onnx"]

Shapes = Mapping[str, list[int | str]]

_FLOAT: Final = 1
_BITS: Final = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 21: 4, 22: 4}
"""Width of an element by ``TensorProto.DataType``; types that are not here (text, complex) are refused."""
_FLOATS: Final[Mapping[int, str]] = {1: "<f4", 10: "<f2", 11: "<f8"}

_NUMBERS: Final = (4, 5, 7, 10, 11)
"""Fields of a tensor that hold elements one by one: float, int32, int64, double and uint64 data."""

_STANDARD: Final = ("", "ai.onnx")


def check_onnx(content: bytes, *, inputs: Shapes, outputs: Shapes, opset: int, where: str) -> None:
    """Refuse a file that is not the plain, self-contained network that the manifest describes.

    Args:
        content: the whole file.
        inputs: shapes by name; text is the name of a free axis. All are float32.
        outputs: likewise.
        opset: ONNX operator set.
        where: what the file is called.

    Raises:
        InputError: with the first thing found.
    """
    try:
        model = Message(memoryview(content))
        _check_model(model, opset)
        graph = model.one(7)
        for kind, field, stated in (("inputs", 11, inputs), ("outputs", 12, outputs)):
            found = dict(_shape(value) for value in graph.messages(field))
            if found != dict(stated):
                raise ValueError(f"its {kind} are {found}, in bundle.json {dict(stated)}")
        for tensor in _tensors(graph):
            _check_tensor(tensor)
    except ValueError as error:
        raise InputError(f"{where} is refused ({_printable(str(error))}): copy or export the bundle again.") from error


def _check_model(model: Message, opset: int) -> None:
    if model.has(20) or model.has(25):
        raise ValueError("it brings functions of its own")
    sets = [(entry.text(1), entry.numbers(2)) for entry in model.messages(8)]
    strange = [domain for domain, _ in sets if domain not in _STANDARD]
    if strange:
        raise ValueError(f"it uses operators of the domain '{strange[0]}'")
    if [version for _, version in sets] != [[opset]]:
        raise ValueError(f"it uses opset {[version for _, versions in sets for version in versions]}, not {opset}")


def _shape(value: Message) -> tuple[str, list[int | str]]:
    """Name and shape of an input or output, which has to be float32."""
    tensor = value.one(2).one(1)
    if tensor.numbers(1) != [_FLOAT]:
        raise ValueError(f"'{value.text(1)}' is not float32")
    axes = tensor.one(2).messages(1)
    return value.text(1), [axis.text(2) or sum(axis.numbers(1)) for axis in axes]


def _tensors(graph: Message) -> Iterator[Message]:
    """Weights and constants."""
    if graph.has(15):
        raise ValueError("it has sparse weights")
    yield from graph.messages(5)
    for node in graph.messages(1):
        if node.text(7) not in _STANDARD:
            raise ValueError(f"it uses operators of the domain '{node.text(7)}'")
        for attribute in node.messages(5):
            if any(attribute.has(field) for field in (6, 11, 22, 23)):
                raise ValueError(f"its operator {node.text(4)} has a graph or sparse tensors inside")
            yield from (tensor for field in (5, 10) for tensor in attribute.messages(field))


def _check_tensor(tensor: Message) -> None:
    name, kind = tensor.text(8), tensor.numbers(2)
    if tensor.has(13) or any(tensor.numbers(14)):
        places = {entry.text(1): entry.text(2) for entry in tensor.messages(13)}
        raise ValueError(f"it keeps the weights '{name}' outside, in '{places.get('location', '')}'")
    if len(kind) != 1 or kind[0] not in _BITS:
        raise ValueError(f"the weights '{name}' have a type that no network here has")
    raw, elements = tensor.raw(9), math.prod(tensor.numbers(1))
    if len(raw) == 1 and not any(tensor.has(field) for field in _NUMBERS):
        fits = len(raw[0]) == (elements * _BITS[kind[0]] + 7) // 8
    else:  # every element takes a byte at least
        fits = not raw and elements <= sum(_bytes_of(tensor, field) for field in _NUMBERS)
    if not fits:
        raise ValueError(f"the weights '{name}' are not as large as their shape {tensor.numbers(1)[:8]} says")
    if kind[0] in _FLOATS and not np.isfinite(_values(tensor, kind[0])).all():
        raise ValueError(f"the weights '{name}' hold NaN or infinity")


def _bytes_of(tensor: Message, field: int) -> int:
    """Bytes of a field of numbers, at least one for a number."""
    return sum(max(1, len(part)) for part in tensor.raw(field))


def _values(tensor: Message, kind: int) -> NDArray[np.floating]:
    """The elements of a tensor of floating-point numbers."""
    if tensor.has(9):
        return np.frombuffer(tensor.raw(9)[0], _FLOATS[kind])
    if tensor.has(5):  # half precision as numbers: their bits
        return np.array(tensor.numbers(5), dtype="<u8").astype("<u2").view(_FLOATS[10])
    return np.frombuffer(b"".join(tensor.raw(4) + tensor.raw(10)), _FLOATS[kind])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
