"""From ONNX operators to ncnn's layers, one by one; ncnn has no batch axis.

Three things are not word for word, because they save passes over large tensors or rounding:

* ReLU moves into the convolution before it;
* ``x * scale + shift`` with one value for each channel, the end of each folded normalisation, becomes a 1x1 depthwise
  convolution whose weights are computed, with the ReLU after it;
* a mean over the pixels is taken along rows and then over these means: one long sum in float32 loses more.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.ncnn_cpu.layers import Layers, with_splits
from ctpdeploy.runtime.backends.ncnn_cpu.translation_state import TranslationState
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node
from ctpdeploy.runtime.backends.onnx_graph.operators import check_operators

__all__ = ["translate"]


def translate(graph: Graph) -> Layers:
    """Translate a network.

    Raises:
        ValueError: it has an operator, or a form of one, that has no translation.
    """
    check_operators(graph)
    state = TranslationState(graph)
    for node in graph.nodes:
        if node.output not in state.tensors:  # else it went into an earlier layer
            _TRANSLATIONS[node.operator](state, node)
    outputs = {name: state.tensors[name] for name in graph.outputs}
    return with_splits(Layers(layers=state.layers, inputs=tuple(graph.inputs), outputs=outputs))


def _convolution(state: TranslationState, node: Node) -> None:
    if node.inputs[0] in state.columns:
        _product_of_column(state, node)
        return
    _convolve(state, node, "Convolution", state.weight(node.inputs[1]), {})


def _transposed_convolution(state: TranslationState, node: Node) -> None:
    below, beside = node.numbers("output_padding", [0, 0])
    _convolve(state, node, "Deconvolution", state.weight(node.inputs[1]).swapaxes(0, 1), {18: beside, 19: below})


def _convolve(state: TranslationState, node: Node, kind: str, weight: NDArray[Any], more: Mapping[int, int]) -> None:
    bias = tuple(state.weight(name) for name in node.inputs[2:])
    output, relu = state.end_in_relu(node)
    parameters = {0: len(weight), **_window(node, weight.shape[2:]), 5: len(bias), 6: weight.size, 9: int(relu), **more}
    state.tensors[output] = state.add(
        kind, state.tensors[node.inputs[0]], parameters=parameters, weight=weight, values=bias
    )


def _window(node: Node, kernel: tuple[int, ...] | list[int]) -> dict[int, int]:
    """Kernel, strides and padding as ncnn numbers them."""
    (rows, columns), (down, right) = kernel, node.numbers("strides", [1, 1])
    above, left, below, beside = node.numbers("pads", [0, 0, 0, 0])
    return {1: columns, 11: rows, 3: right, 13: down, 4: left, 14: above, 15: beside, 16: below}


def _max_pool(state: TranslationState, node: Node) -> None:
    (rows, columns), (down, right) = node.numbers("kernel_shape", []), node.numbers("strides", [1, 1])
    above, left, below, beside = node.numbers("pads", [0, 0, 0, 0])
    size = {1: columns, 11: rows, 2: right, 12: down, 3: left, 13: above, 14: beside, 15: below, 5: 1}
    state.tensors[node.output] = state.add("Pooling", state.tensors[node.inputs[0]], parameters={0: 0, **size})


def _product(state: TranslationState, node: Node) -> None:
    """A product for each channel is pending until the sum after it; see ``_sum``."""
    x, scale = node.inputs
    total = state.only_user(node.output, "Add")
    if x == scale:
        _keep(state, node, state.add("UnaryOp", state.operand(x), parameters={0: 4}))
    elif (
        total is not None
        and x not in state.columns
        and state.columns.get(scale, 1) > 1
        and total.inputs[0] == node.output
        and state.columns.get(total.inputs[1]) == state.columns[scale]
    ):
        state.products[node.output] = (x, scale)
    else:
        _combine(state, node)


def _sum(state: TranslationState, node: Node) -> None:
    first, shift = node.inputs
    if first not in state.products:
        _combine(state, node)
        return
    x, scale = state.products[first]
    channels = state.columns[scale]
    output, relu = state.end_in_relu(node)
    parameters = {0: channels, 1: 1, 5: 1, 6: channels, 7: channels, 9: int(relu), 19: 1}
    state.tensors[output] = state.add(
        "ConvolutionDepthWise", *map(state.operand, (x, scale, shift)), parameters=parameters
    )


def _combine(state: TranslationState, node: Node) -> None:
    """Two tensors element by element; one value, or one for each channel, spreads over the other."""
    kind = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3}[node.operator]
    _keep(state, node, state.add("BinaryOp", *map(state.operand, node.inputs), parameters={0: kind}))


def _keep(state: TranslationState, node: Node, output: str) -> None:
    """Record the output of an operator, and whether it has one value for each channel."""
    state.tensors[node.output] = output
    if all(name in state.columns for name in node.inputs):
        state.columns[node.output] = max(state.columns[name] for name in node.inputs)


def _mean(state: TranslationState, node: Node) -> None:
    """Over the channels of a column, or over the pixels, rows first. Axes of ncnn: 0 channels, 1 rows, 2 columns."""
    x, axes, keep = node.inputs[0], state.weight(node.inputs[1]).tolist(), node.attributes.get("keepdims")
    of_column, of_rows = axes in ([1], [1, 2, 3]) and x in state.columns, axes == [2] and x in state.rows
    if not (of_column or of_rows or (axes in ([3], [2, 3]) and x not in state.columns)) or not (keep or axes == [2, 3]):
        raise ValueError(f"its operator ReduceMean has the axes {axes}")
    mean = state.tensors[x]
    for axis in reversed(axes[:1] if of_column else axes):
        mean = state.add("Reduction", mean, parameters=_mean_over(axis - 1))
        state.small.add(mean)
    state.tensors[node.output] = mean if keep else state.add("Reshape", mean, parameters={0: -1})
    if axes == [3]:
        state.rows.add(node.output)
    elif keep:
        state.columns[node.output] = 1


def _mean_over(axis: int) -> dict[int, int | list[int]]:
    return {0: 3, 1: 0, 3: [axis], 4: 1, 5: 1}


def _matrix_product(state: TranslationState, node: Node) -> None:
    weight, bias = (state.weight(name) for name in node.inputs[1:])
    parameters = {0: len(weight), 1: 1, 2: weight.size}
    state.tensors[node.output] = state.add(
        "InnerProduct", state.tensors[node.inputs[0]], parameters=parameters, weight=weight, values=(bias,)
    )


def _product_of_column(state: TranslationState, node: Node) -> None:
    """A 1x1 convolution of one value for each channel: ncnn's matrix product is the faster one."""
    weight = state.weight(node.inputs[1])
    if weight.shape[2:] != (1, 1) or any(node.numbers("pads", [0])) or len(node.inputs) != 3:
        raise ValueError("its operator Conv acts on a column, and is not 1x1 with a bias")
    _matrix_product(state, node)
    _unsqueeze(state, replace(node, inputs=(node.output,)))


def _batch_norm(state: TranslationState, node: Node) -> None:
    """A scale and a shift; see the formula of ``evaluate``'s."""
    weight, bias, mean, variance = (state.weight(name).astype(np.float64) for name in node.inputs[1:])
    scale = weight / np.sqrt(variance + float(str(node.attributes["epsilon"])))
    values = (scale, bias - mean * scale)
    state.tensors[node.output] = state.add(
        "Scale", state.tensors[node.inputs[0]], parameters={0: scale.size, 1: 1}, values=values
    )


def _channels(state: TranslationState, node: Node, first: int, after_last: int) -> None:
    parameters = {9: [first], 10: [after_last], 11: [0]}
    state.tensors[node.output] = state.add("Crop", state.tensors[node.inputs[0]], parameters=parameters)


def _slice(state: TranslationState, node: Node) -> None:
    _channels(state, node, *(int(state.weight(name)[0]) for name in node.inputs[1:3]))


def _gather(state: TranslationState, node: Node) -> None:
    index = int(state.weight(node.inputs[1]))
    _channels(state, node, index, index + 1)


def _identity(state: TranslationState, node: Node) -> None:
    state.tensors[node.output] = state.tensors[node.inputs[0]]


def _plainly(kind: str, parameters: Mapping[int, int]) -> Callable[[TranslationState, Node], None]:
    """The translation of an operator that is one layer of ncnn."""

    def become(state: TranslationState, node: Node) -> None:
        _keep(state, node, state.add(kind, *(state.operand(name) for name in node.inputs), parameters=parameters))

    return become


def _unsqueeze(state: TranslationState, node: Node) -> None:
    """One value for each channel, from a list to a column."""
    parameters = {0: 1, 1: 1, 2: -1}
    state.tensors[node.output] = state.add("Reshape", state.tensors[node.inputs[0]], parameters=parameters)
    state.columns[node.output] = 1


def _resize(state: TranslationState, node: Node) -> None:
    """Twice as many rows and columns, each pixel four times."""
    state.tensors[node.output] = state.add("Interp", state.tensors[node.inputs[0]], parameters={0: 1, 1: 2.0, 2: 2.0})


_TRANSLATIONS: Final[Mapping[str, Callable[[TranslationState, Node], None]]] = {
    "Add": _sum,
    "BatchNormalization": _batch_norm,
    "Concat": _plainly("Concat", {0: 0}),
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Div": _combine,
    "Gather": _gather,
    "Gemm": _matrix_product,
    "Identity": _identity,
    "MaxPool": _max_pool,
    "Mul": _product,
    "ReduceMean": _mean,
    "Relu": _plainly("ReLU", {}),
    "Resize": _resize,
    "Sigmoid": _plainly("Sigmoid", {}),
    "Slice": _slice,
    "Softmax": _plainly("Softmax", {0: 0, 1: 1}),
    "Sqrt": _plainly("UnaryOp", {0: 5}),
    "Sub": _combine,
    "Unsqueeze": _unsqueeze,
}
