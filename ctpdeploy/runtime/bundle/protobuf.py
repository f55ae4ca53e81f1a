"""The protobuf wire format, read without a schema: enough to look into an ONNX file before anything loads it.

A message is a sequence of ``key value``, the key a varint ``field << 3 | wire type``: 0 varint, 1 eight bytes,
2 length and bytes (text, messages, packed numbers), 5 four bytes. Groups (3, 4) are no part of ONNX.
"""

from collections.abc import Iterator
from typing import Final

__all__ = ["Message", "varints"]

_VARINT, _LENGTH = 0, 2
_FIXED: Final = {1: 8, 5: 4}


class Message:
    """One message, split into its fields; nothing is copied.

    Raises:
        ValueError: the bytes are no message, or a truncated one.
    """

    def __init__(self, data: memoryview) -> None:
        self._fields: dict[int, list[tuple[int, int, memoryview]]] = {}
        at = 0
        while at < len(data):
            key, at = _varint(data, at)
            wire, number = key & 7, 0
            if wire == _VARINT:
                number, at = _varint(data, at)
                value = data[:0]
            else:
                if wire == _LENGTH:
                    length, at = _varint(data, at)
                elif wire in _FIXED:
                    length = _FIXED[wire]
                else:
                    raise ValueError("it is no ONNX file")
                value = data[at : at + length]
                if len(value) != length:
                    raise ValueError("it is truncated")
                at += length
            self._fields.setdefault(key >> 3, []).append((wire, number, value))

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return field in self._fields

    def raw(self, field: int) -> list[memoryview]:
        """The bytes of a repeated field: text, packed or fixed numbers."""
        return [value for _, _, value in self._fields.get(field, ())]

    def messages(self, field: int) -> list["Message"]:
        """A repeated field of messages."""
        return [Message(value) for value in self.raw(field)]

    def one(self, field: int) -> "Message":
        """A field of one message; two would be merged by other readers, and are refused."""
        found = self.messages(field)
        if len(found) != 1:
            raise ValueError("it is no ONNX file")
        return found[0]

    def text(self, field: int) -> str:
        """A text, empty if it is not there; of several the last counts."""
        return bytes(self.raw(field)[-1]).decode("utf-8", errors="replace") if self.has(field) else ""

    def numbers(self, field: int) -> list[int]:
        """A repeated field of varints, packed or not."""
        found: list[int] = []
        for wire, number, value in self._fields.get(field, ()):
            found += [number] if wire == _VARINT else varints(value)
        return found


def varints(data: memoryview) -> Iterator[int]:
    """Packed varints."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a byte, and where the next thing begins."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise ValueError("it is truncated")
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("it is no ONNX file")
