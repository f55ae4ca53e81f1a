"""Shapes of every tensor of a network, inferred from its inputs before anything runs.

Kernels trust the shapes that they are handed. So each operator has a rule here, from the ONNX standard, which says what
shapes its inputs may have together and what shape comes of them; a graph that breaks one is refused by name.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node

__all__ = ["Shape", "infer_shapes"]

Shape = tuple[int, ...]
Given = Shape | NDArray[Any]
"""Of an operand: the shape of a tensor, or a constant itself."""

_MOST_PIXELS: Final = 2**28
"""Values of a tensor; the largest of a full-width slice has 2**24."""

_WIDEST_POOL: Final = 64


def infer_shapes(graph: Graph, inputs: Mapping[str, Shape] | None = None) -> dict[str, Shape]:
    """The shapes of all tensors of a network on one slice.

    Args:
        graph: the network, which :func:`ctpdeploy.runtime.backends.onnx_graph.operators.check_operators` let pass.
        inputs: ``(1, C, H, W)`` by name; those that the graph states by default.

    Returns:
        By the name of each tensor that is not constant.

    Raises:
        ValueError: an operator cannot take what it is handed, or a tensor is made twice or never.
    """
    shapes = dict(inputs or {name: (1, *shape) for name, shape in graph.inputs.items()})
    for node in graph.nodes:
        if node.output in shapes or node.output in graph.constants:
            raise ValueError(f"its tensor '{node.output}' is made twice")
        try:
            given = [_given(name, shapes, graph) for name in node.inputs]
            made = _RULES[node.operator](node, *given)
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"its {node.operator} '{node.output}' lacks an input or attribute ({error})") from error
        except ValueError as error:
            raise ValueError(f"its {node.operator} '{node.output}' cannot take its inputs: {error}") from error
        if not all(side > 0 for side in made) or prod(made) > _MOST_PIXELS:
            raise ValueError(f"its {node.operator} '{node.output}' would make a tensor of {made}")
        shapes[node.output] = made
    if missing := [name for name in graph.outputs if name not in shapes]:
        raise ValueError(f"nothing makes its output '{missing[0]}'")
    return shapes


def _given(name: str, shapes: Mapping[str, Shape], graph: Graph) -> Given:
    if name in shapes:
        return shapes[name]
    return graph.constants[name] if name else np.empty(0)


def _shape(operand: Given) -> Shape:
    return operand.shape if isinstance(operand, np.ndarray) else operand


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(words)


def _image(operand: Given) -> Shape:
    shape = _shape(operand)
    _require(len(shape) == 4 and shape[0] == 1, f"{shape} is no slice")
    return shape


def _constant(operand: Given, dimensions: int) -> NDArray[Any]:
    if not isinstance(operand, np.ndarray):
        raise ValueError("a weight is no constant")
    _require(operand.ndim == dimensions, f"a weight has {operand.ndim} axes, not {dimensions}")
    return operand


def _numbers(node: Node, name: str, count: int, default: list[int] | None, *, least: int) -> list[int]:
    found = node.numbers(name, default or [])
    _require(len(found) == count and min(found) >= least, f"{name} {found}")
    return found


def _bias(operands: tuple[Given, ...], channels: int) -> None:
    for operand in operands:
        _require(_constant(operand, 1).shape == (channels,), f"{_shape(operand)} biases for {channels} channels")


def _window(node: Node, kernel: Shape) -> tuple[list[int], list[int]]:
    step = _numbers(node, "strides", 2, [1, 1], least=1)
    pads = _numbers(node, "pads", 4, [0, 0, 0, 0], least=0)
    _require(min(kernel) > 0 and all(pad < kernel[i % 2] for i, pad in enumerate(pads)), f"padding {pads} of {kernel}")
    return step, pads


def _windows(node: Node, size: list[int], kernel: Shape) -> tuple[int, int]:
    """Rows and columns of windows in an image of some size."""
    step, pads = _window(node, kernel)
    rows, columns = ((size[i] + pads[i] + pads[i + 2] - kernel[i]) // step[i] + 1 for i in (0, 1))
    return rows, columns


def _weighted(x: Given, weight: NDArray[Any], bias: tuple[Given, ...]) -> tuple[list[int], int, Shape]:
    """Rows and columns of the image, channels made of it, and the kernel, of weights ``(out, in, rows, columns)``."""
    _, channels, *size = _image(x)
    outputs, inputs, *kernel = weight.shape
    _require(inputs == channels, f"weights for {inputs} channels beside {channels}")
    _bias(bias, outputs)
    return size, outputs, tuple(kernel)


def _convolution(node: Node, x: Given, weight: Given, *bias: Given) -> Shape:
    size, outputs, kernel = _weighted(x, _constant(weight, 4), bias)
    return 1, outputs, *_windows(node, size, kernel)


def _transposed_convolution(node: Node, x: Given, weight: Given, *bias: Given) -> Shape:
    size, outputs, kernel = _weighted(x, _constant(weight, 4).swapaxes(0, 1), bias)
    step, pads = _window(node, kernel)
    more = _numbers(node, "output_padding", 2, [0, 0], least=0)
    _require(more[0] < step[0] and more[1] < step[1], f"output_padding {more}")
    return 1, outputs, *(step[i] * (size[i] - 1) + kernel[i] + more[i] - pads[i] - pads[i + 2] for i in (0, 1))


def _max_pool(node: Node, x: Given) -> Shape:
    _, channels, *size = _image(x)
    kernel = _numbers(node, "kernel_shape", 2, None, least=1)
    _require(max(kernel) <= _WIDEST_POOL, f"kernel_shape {kernel}")  # what pads it may be as wide
    return 1, channels, *_windows(node, size, tuple(kernel))


def _batch_norm(node: Node, x: Given, *constants: Given) -> Shape:
    shape = _image(x)
    _require(len(constants) == 4 and isinstance(node.attributes["epsilon"], float), "it has other constants than four")
    _bias(constants, shape[1])
    return shape


def _elementwise(_: Node, x: Given, y: Given) -> Shape:
    """Alike, or one with a value for each channel, or for all."""
    shapes = _shape(x), _shape(y)
    made = np.broadcast_shapes(*shapes)
    for shape in shapes:
        column = shape in ((1, *made[1:2], 1, 1), (*made[1:2], 1, 1))
        _require(shape == made or column or prod(shape) == 1, f"{shapes[0]} and {shapes[1]}")
    _require(prod(made) == max(map(prod, shapes)), f"{shapes[0]} and {shapes[1]}")
    return made


def _concat(_: Node, *operands: Given) -> Shape:
    shapes = [_shape(operand) for operand in operands]
    rest = {(shape[0], *shape[2:]) for shape in shapes if len(shape) in (2, 4)}
    _require(len(rest) == 1 and all(len(shape) == len(shapes[0]) for shape in shapes), f"{shapes}")
    return shapes[0][0], sum(shape[1] for shape in shapes), *shapes[0][2:]


def _gemm(_: Node, x: Given, weight: Given, bias: Given) -> Shape:
    shape, matrix = _shape(x), _constant(weight, 2)
    _require(len(shape) == 2 and shape[1] == matrix.shape[1], f"{shape} and weights {matrix.shape}")
    _bias((bias,), len(matrix))
    return shape[0], len(matrix)


def _gather(_: Node, x: Given, index: Given) -> Shape:
    shape, place = _shape(x), _constant(index, 0)
    _require(place.dtype.kind == "i" and len(shape) > 1 and 0 <= int(place) < shape[1], f"index {place} in {shape}")
    return shape[0], *shape[2:]


def _mean(node: Node, x: Given, axes: Given) -> Shape:
    shape, over = _shape(x), _constant(axes, 1)
    numbers = over.tolist()
    known = over.dtype.kind == "i" and len(set(numbers)) == len(numbers) > 0
    _require(known and all(0 <= axis < len(shape) for axis in numbers), f"axes {numbers} of {shape}")
    _require(node.attributes["keepdims"] in (0, 1), "keepdims is neither 0 nor 1")
    kept = node.attributes["keepdims"] == 1
    return tuple(1 if i in numbers else side for i, side in enumerate(shape) if kept or i not in numbers)


def _slice(_: Node, x: Given, first: Given, after_last: Given, *_axes: Given) -> Shape:
    shape, start, stop = _shape(x), _constant(first, 1), _constant(after_last, 1)
    _require(len(_axes) == 1, "it has steps, or no axes")
    _require(start.dtype.kind == stop.dtype.kind == "i" and start.size == stop.size == 1, "starts and ends")
    begin, end = int(start[0]), min(int(stop[0]), shape[1])
    _require(0 <= begin < end, f"channels {begin} to {end} of {shape}")
    return shape[0], end - begin, *shape[2:]


def _unsqueeze(_: Node, x: Given, axes: Given) -> Shape:
    _require(len(_shape(x)) == 2 and _constant(axes, 1).tolist() == [2, 3], f"{_shape(x)}")
    return *_shape(x), 1, 1


def _same(_: Node, x: Given) -> Shape:
    return _shape(x)


def _resize(_: Node, x: Given, *_operands: Given) -> Shape:
    batch, channels, height, width = _image(x)
    return batch, channels, 2 * height, 2 * width


_RULES: Final[Mapping[str, Callable[..., Shape]]] = {
    "Add": _elementwise,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Div": _elementwise,
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": _same,
    "MaxPool": _max_pool,
    "Mul": _elementwise,
    "ReduceMean": _mean,
    "Relu": _same,
    "Resize": _resize,
    "Sigmoid": _same,
    "Slice": _slice,
    "Softmax": _same,
    "Sqrt": _same,
    "Sub": _elementwise,
    "Unsqueeze": _unsqueeze,
}
