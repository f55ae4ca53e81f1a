"""Proof of the precision, from the types of a parsed network.

In a strongly typed network a layer computes in the type of its tensors, whatever the builder would like; so the types
show before the build, and without a GPU, in which precision the engine works.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.packages import Native

__all__ = ["PRECISIONS", "Figures", "Rule", "count_types", "prove"]

Figures = Mapping[str, Mapping[str, int]]
"""Number of layers by kind and number format."""

COMPUTE: Final = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
STATISTICS: Final = ("REDUCE", "NORMALIZATION", "SOFTMAX")
OTHER: Final = "OTHER"
_NOT_NUMBERS: Final = frozenset({"INT32", "INT64", "BOOL"})  # shapes and indices


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Number formats that a precision allows.

    Attributes:
        needed: at least one layer of ``COMPUTE`` works in it.
        compute: all of them work in one of these.
        other: so do all layers but those of ``STATISTICS``, which work in float32.
    """

    needed: str
    compute: frozenset[str]
    other: frozenset[str]


PRECISIONS: Final[dict[str, Rule]] = {
    "fp32": Rule(needed="FLOAT", compute=frozenset({"FLOAT"}), other=frozenset({"FLOAT"})),
    "fp16": Rule(needed="HALF", compute=frozenset({"HALF", "FLOAT"}), other=frozenset({"HALF", "FLOAT"})),
    "int8": Rule(
        needed="INT8", compute=frozenset({"INT8", "HALF", "FLOAT"}), other=frozenset({"INT8", "HALF", "FLOAT"})
    ),
}


def prove(network: Native, precision: str) -> Figures:
    """Compare the types of a parsed network with the requested precision.

    Args:
        network: an ``INetworkDefinition``.
        precision: one of ``PRECISIONS``.

    Returns:
        The figures, for the report.

    Raises:
        BackendError: the network is of another precision; with the figures.
    """
    figures, rule = count_types(network), PRECISIONS[precision]
    allowed = {
        **dict.fromkeys(COMPUTE, rule.compute),
        **dict.fromkeys(STATISTICS, frozenset({"FLOAT"})),
        OTHER: rule.other,
    }
    faults = [
        f"{kind} in {', '.join(sorted(set(figures[kind]) - allowed[kind]))}"
        for kind in figures
        if set(figures[kind]) - allowed[kind]
    ]
    if not any(rule.needed in figures.get(kind, {}) for kind in COMPUTE):
        faults.append(f"no layer that multiplies in {rule.needed}")
    if faults:
        raise BackendError(
            f"The network is not {precision}, it has {' and '.join(faults)} (layers: {_in_words(figures)}): "
            "export it in the precision that you ask for."
        )
    return figures


def count_types(network: Native) -> dict[str, dict[str, int]]:
    """Count layers by kind and by the number format in which they work.

    A layer that multiplies works in the format of its operands. Operands that come out of a DEQUANTIZE count as what
    goes into it: that pattern is how ONNX writes INT8, and weights and data must both have it.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    quantised = {
        layer.get_output(0).name: layer.get_input(0).dtype.name for layer in layers if layer.type.name == "DEQUANTIZE"
    }
    figures: dict[str, Counter[str]] = {}
    for layer in layers:
        kind = layer.type.name
        if kind in COMPUTE:
            figures.setdefault(kind, Counter())[_operand_format(layer, quantised)] += 1
        else:
            formats = {tensor.dtype.name for tensor in _tensors(layer)} - _NOT_NUMBERS
            figures.setdefault(kind if kind in STATISTICS else OTHER, Counter()).update(formats)
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(figures.items()) if counts}


def _operand_format(layer: Native, quantised: Mapping[str, str]) -> str:
    operands = [layer.get_input(i) for i in range(min(layer.num_inputs, 2))]
    formats = [quantised.get(tensor.name) for tensor in operands]
    if len(set(formats)) == 1 and formats[0] is not None and len(operands) == 2:
        return formats[0]
    return str(operands[0].dtype.name)


def _tensors(layer: Native) -> Iterator[Native]:
    """Inputs and outputs of a layer; an optional input that is left out is None."""
    for i in range(layer.num_inputs):
        if (tensor := layer.get_input(i)) is not None:
            yield tensor
    for i in range(layer.num_outputs):
        yield layer.get_output(i)


def _in_words(figures: Figures) -> str:
    return ", ".join(
        f"{count} {kind} {number_format}" for kind, counts in figures.items() for number_format, count in counts.items()
    )
