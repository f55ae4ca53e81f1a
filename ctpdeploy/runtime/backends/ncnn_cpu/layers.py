"""ncnn's own form of a network: layers in lines of text, and their weights one after the other.

Kinds of layers and the numbers of their parameters are those of ncnn's documentation ("operators"). A tensor may be
used once only: where several layers read it, a ``Split`` makes names for each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layer", "Layers", "Parameters", "with_splits"]

Parameters = Mapping[int, int | float | Sequence[int]]
"""Of a layer, by number."""

_FORMAT: Final = 7767517
"""First line of every list of layers."""

_FLOAT32: Final = np.zeros(1, "<u4")
"""Stands before the weights of a convolution: they are not compressed."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer.

    Attributes:
        kind: ncnn's name of it.
        inputs: names of tensors.
        outputs: likewise.
        parameters: by number.
        weight: of a convolution or a matrix product.
        values: other constants, after the weight.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Parameters = field(default_factory=dict)
    weight: NDArray[Any] | None = None
    values: tuple[NDArray[Any], ...] = ()

    def __str__(self) -> str:
        counts = [str(len(self.inputs)), str(len(self.outputs))]
        numbers = [_parameter(number, value) for number, value in self.parameters.items()]
        return " ".join([self.kind, self.outputs[0], *counts, *self.inputs, *self.outputs, *numbers])


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A whole network.

    Attributes:
        layers: in the order in which they run.
        inputs: names of the inputs.
        outputs: names of the outputs, by those in the ONNX network.
    """

    layers: Sequence[Layer]
    inputs: tuple[str, ...]
    outputs: Mapping[str, str]

    def __str__(self) -> str:
        tensors = sum(len(layer.outputs) for layer in self.layers)
        return "\n".join([str(_FORMAT), f"{len(self.layers)} {tensors}", *map(str, self.layers), ""])

    def write_weights(self, path: Path) -> None:
        """Write all weights into a file."""
        with path.open("wb") as file:
            for layer in self.layers:
                weight = () if layer.weight is None else (_FLOAT32, layer.weight.astype("<f4", copy=False))
                for array in (*weight, *(value.astype("<f4", copy=False) for value in layer.values)):
                    file.write(np.ascontiguousarray(array).data)


def with_splits(network: Layers) -> Layers:
    """The same network where each tensor has one user."""
    uses = Counter([name for layer in network.layers for name in layer.inputs] + list(network.outputs.values()))
    taken: Counter[str] = Counter()

    def take(name: str) -> str:
        taken[name] += 1
        return name if uses[name] == 1 else f"{name}_{taken[name]}"

    layers = []
    for layer in network.layers:
        layers.append(replace(layer, inputs=tuple(map(take, layer.inputs))))
        for name in layer.outputs:
            if uses[name] > 1:
                copies = tuple(f"{name}_{number + 1}" for number in range(uses[name]))
                layers.append(Layer(kind="Split", inputs=(name,), outputs=copies))
    outputs = {name: take(tensor) for name, tensor in network.outputs.items()}
    return Layers(layers=layers, inputs=network.inputs, outputs=outputs)


def _parameter(number: int, value: float | Sequence[int]) -> str:
    if isinstance(value, int | float):
        return f"{number}={value}"
    return f"{-23300 - number}={len(value)},{','.join(map(str, value))}"  # mark of a list in the format
