"""The reference: the operators in NumPy, in any precision, written from their definitions.

A convolution is the sum over the taps of its kernel of a matrix product with the shifted input, with stride s, padding
p and kernel k::

    y[o, i, j] = b[o] + sum_{a, b} sum_c w[o, c, a, b] x[c, s i + a - p, s j + b - p]

and a transposed convolution is its adjoint, which scatters where that gathers. On a slice of 32 x 32 pixels the three
full-width networks take about a second.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node

__all__ = ["OPERATORS", "evaluate"]

Array = NDArray[Any]


def evaluate(
    graph: Graph, inputs: Mapping[str, Array], dtype: type[np.floating[Any]] = np.float64
) -> dict[str, NDArray[np.float64]]:
    """Run a network on one slice.

    Args:
        graph: the network.
        inputs: ``(1, C, H, W)`` by name.
        dtype: number format of all arithmetic.

    Returns:
        Outputs by name, in float64.
    """
    tensors: dict[str, Array] = {name: array.astype(dtype) for name, array in inputs.items()}
    for node in graph.nodes:
        given = [_operand(name, tensors, graph, dtype) for name in node.inputs]
        tensors[node.output] = OPERATORS[node.operator](node, *given)
    return {name: tensors[name].astype(np.float64) for name in graph.outputs}


def _operand(name: str, tensors: Mapping[str, Array], graph: Graph, dtype: type[np.floating[Any]]) -> Array:
    if name in tensors:
        return tensors[name]
    constant = graph.constants[name] if name else np.empty(0)
    return constant.astype(dtype) if constant.dtype.kind == "f" else constant


def _convolution(node: Node, x: Array, weight: Array, *bias: Array) -> Array:
    (rows, columns), step = weight.shape[2:], node.numbers("strides", [1, 1])
    top, left, bottom, right = node.numbers("pads", [0, 0, 0, 0])
    (padded,) = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = (padded.shape[1] - rows) // step[0] + 1, (padded.shape[2] - columns) // step[1] + 1
    taps = [
        padded[:, a : a + step[0] * height : step[0], b : b + step[1] * width : step[1]][:, :height, :width]
        for a, b in np.ndindex(rows, columns)
    ]
    columns_of = np.stack(taps, axis=1).reshape(-1, height * width)
    y = (weight.reshape(len(weight), -1) @ columns_of).reshape(1, len(weight), height, width)
    return y + bias[0][:, None, None] if bias else y


def _transposed_convolution(node: Node, x: Array, weight: Array, *bias: Array) -> Array:
    (rows, columns), step = weight.shape[2:], node.numbers("strides", [1, 1])
    top, left, bottom, right = node.numbers("pads", [0, 0, 0, 0])
    below, beside = node.numbers("output_padding", [0, 0])
    height, width = x.shape[2:]
    size = (weight.shape[1], step[0] * (height - 1) + rows + below, step[1] * (width - 1) + columns + beside)
    y = np.zeros(size, dtype=x.dtype)
    flat = x[0].reshape(len(weight), -1)
    for a, b in np.ndindex(rows, columns):
        part = (weight[:, :, a, b].T @ flat).reshape(-1, height, width)
        y[:, a : a + step[0] * height : step[0], b : b + step[1] * width : step[1]] += part
    y = y[None, :, top : size[1] - bottom, left : size[2] - right]
    return y + bias[0][:, None, None] if bias else y


def _max_pool(node: Node, x: Array) -> Array:
    (rows, columns), step = node.numbers("kernel_shape", []), node.numbers("strides", [1, 1])
    top, left, bottom, right = node.numbers("pads", [0, 0, 0, 0])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(2, 3))
    return windows[:, :, :: step[0], :: step[1]].max(axis=(4, 5))


def _batch_norm(node: Node, x: Array, *parameters: Array) -> Array:
    scale, shift, mean, variance = (parameter[:, None, None] for parameter in parameters)
    return (x - mean) / np.sqrt(variance + x.dtype.type(node.attributes["epsilon"])) * scale + shift


def _resize(_: Node, x: Array, *_operands: Array) -> Array:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def _mean(node: Node, x: Array, axes: Array) -> Array:
    return x.mean(axis=tuple(axes.tolist()), keepdims=node.attributes["keepdims"] == 1)


def _slice(_: Node, x: Array, first: Array, after_last: Array, *_axes: Array) -> Array:
    return x[:, first[0] : after_last[0]]


def _softmax(_: Node, x: Array) -> Array:
    grown = np.exp(x - x.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


OPERATORS: Final[Mapping[str, Callable[..., Array]]] = {
    "Add": lambda _, a, b: a + b,
    "BatchNormalization": _batch_norm,
    "Concat": lambda _, *parts: np.concatenate(parts, axis=1),
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Div": lambda _, a, b: a / b,
    "Gather": lambda _, x, index: x[:, int(index)],
    "Gemm": lambda _, x, weight, bias: x @ weight.T + bias,
    "Identity": lambda _, x: x,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "ReduceMean": _mean,
    "Relu": lambda _, x: np.maximum(x, 0),
    "Resize": _resize,
    "Sigmoid": lambda _, x: 1 / (1 + np.exp(-x)),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sqrt": lambda _, x: np.sqrt(x),
    "Sub": lambda _, a, b: a - b,
    "Unsqueeze": lambda _, x, axes: np.expand_dims(x, tuple(axes.tolist())),
}
