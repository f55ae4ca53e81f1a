"""From ONNX operators to ncnn's layers, one by one; ncnn knows no batch axis.

Three things are not word for word, because they save passes over large tensors or rounding:

* ReLU moves into the convolution before it;
* ``x * scale + shift`` with one value for each channel, the end of each folded normalisation, becomes a 1x1 depthwise
  convolution whose weights are computed, with the ReLU after it;
* a mean over the pixels is taken along rows and then over these means: one long sum in float32 loses more.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.ncnn_cpu.layers import Layers, with_splits
from ctpdeploy.runtime.backends.ncnn_cpu.translation_state import Draft
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node
from ctpdeploy.runtime.backends.onnx_graph.operators import check_operators

__all__ = ["translate"]


def translate(graph: Graph) -> Layers:
    """Translate a network.

    Raises:
        ValueError: it has an operator, or a form of one, that has no translation.
    """
    check_operators(graph)
    draft = Draft(graph)
    for node in graph.nodes:
        if node.output not in draft.tensors:  # else it went into an earlier layer
            _TRANSLATIONS[node.operator](draft, node)
    outputs = {name: draft.tensors[name] for name in graph.outputs}
    return with_splits(Layers(layers=draft.layers, inputs=tuple(graph.inputs), outputs=outputs))


def _convolution(draft: Draft, node: Node) -> None:
    _convolve(draft, node, "Convolution", draft.weight(node.inputs[1]), {})


def _transposed_convolution(draft: Draft, node: Node) -> None:
    below, beside = node.numbers("output_padding", [0, 0])
    _convolve(draft, node, "Deconvolution", draft.weight(node.inputs[1]).swapaxes(0, 1), {18: beside, 19: below})


def _convolve(draft: Draft, node: Node, kind: str, weight: NDArray[Any], more: Mapping[int, int]) -> None:
    bias = tuple(draft.weight(name) for name in node.inputs[2:])
    output, relu = draft.end_in_relu(node)
    parameters = {0: len(weight), **_window(node, weight.shape[2:]), 5: len(bias), 6: weight.size, 9: int(relu), **more}
    draft.tensors[output] = draft.add(
        kind, draft.tensors[node.inputs[0]], parameters=parameters, weight=weight, values=bias
    )


def _window(node: Node, kernel: tuple[int, ...] | list[int]) -> dict[int, int]:
    """Kernel, strides and padding as ncnn numbers them."""
    (rows, columns), (down, right) = kernel, node.numbers("strides", [1, 1])
    above, left, below, beside = node.numbers("pads", [0, 0, 0, 0])
    return {1: columns, 11: rows, 3: right, 13: down, 4: left, 14: above, 15: beside, 16: below}


def _max_pool(draft: Draft, node: Node) -> None:
    (rows, columns), (down, right) = node.numbers("kernel_shape", []), node.numbers("strides", [1, 1])
    above, left, below, beside = node.numbers("pads", [0, 0, 0, 0])
    size = {1: columns, 11: rows, 2: right, 12: down, 3: left, 13: above, 14: beside, 15: below, 5: 1}
    draft.tensors[node.output] = draft.add("Pooling", draft.tensors[node.inputs[0]], parameters={0: 0, **size})


def _product(draft: Draft, node: Node) -> None:
    """A product for each channel waits for the sum after it; see ``_sum``."""
    x, scale = node.inputs
    total = draft.only_user(node.output, "Add")
    if x == scale:
        _keep(draft, node, draft.add("UnaryOp", draft.operand(x), parameters={0: 4}))
    elif (
        total is not None
        and x not in draft.columns
        and draft.columns.get(scale, 1) > 1
        and total.inputs[0] == node.output
        and draft.columns.get(total.inputs[1]) == draft.columns[scale]
    ):
        draft.products[node.output] = (x, scale)
    else:
        _combine(draft, node)


def _sum(draft: Draft, node: Node) -> None:
    first, shift = node.inputs
    if first not in draft.products:
        _combine(draft, node)
        return
    x, scale = draft.products[first]
    channels = draft.columns[scale]
    output, relu = draft.end_in_relu(node)
    parameters = {0: channels, 1: 1, 5: 1, 6: channels, 7: channels, 9: int(relu), 19: 1}
    draft.tensors[output] = draft.add(
        "ConvolutionDepthWise", *map(draft.operand, (x, scale, shift)), parameters=parameters
    )


def _combine(draft: Draft, node: Node) -> None:
    """Two tensors element by element; one value, or one for each channel, spreads over the other."""
    kind = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3}[node.operator]
    _keep(draft, node, draft.add("BinaryOp", *map(draft.operand, node.inputs), parameters={0: kind}))


def _keep(draft: Draft, node: Node, output: str) -> None:
    """Note what an operator made, and whether that has one value for each channel."""
    draft.tensors[node.output] = output
    if all(name in draft.columns for name in node.inputs):
        draft.columns[node.output] = max(draft.columns[name] for name in node.inputs)


def _mean(draft: Draft, node: Node) -> None:
    """Over the channels of a column, or over the pixels, rows first. Axes of ncnn: 0 channels, 1 rows, 2 columns."""
    x, axes, keep = node.inputs[0], draft.weight(node.inputs[1]).tolist(), node.attributes.get("keepdims")
    of_column, of_rows = axes == [1] and x in draft.columns, axes == [2] and x in draft.rows
    if not (of_column or of_rows or (axes in ([3], [2, 3]) and x not in draft.columns)) or not (keep or axes == [2, 3]):
        raise ValueError(f"its operator ReduceMean has the axes {axes}")
    mean = draft.tensors[x]
    for axis in reversed(axes):
        mean = draft.add("Reduction", mean, parameters=_mean_over(axis - 1))
        draft.small.add(mean)
    draft.tensors[node.output] = mean if keep else draft.add("Reshape", mean, parameters={0: -1})
    if axes == [3]:
        draft.rows.add(node.output)
    elif keep:
        draft.columns[node.output] = 1


def _mean_over(axis: int) -> dict[int, int | list[int]]:
    return {0: 3, 1: 0, 3: [axis], 4: 1, 5: 1}


def _matrix_product(draft: Draft, node: Node) -> None:
    weight, bias = (draft.weight(name) for name in node.inputs[1:])
    parameters = {0: len(weight), 1: 1, 2: weight.size}
    draft.tensors[node.output] = draft.add(
        "InnerProduct", draft.tensors[node.inputs[0]], parameters=parameters, weight=weight, values=(bias,)
    )


def _batch_norm(draft: Draft, node: Node) -> None:
    """A scale and a shift; see the formula of ``evaluate``'s."""
    weight, bias, mean, variance = (draft.weight(name).astype(np.float64) for name in node.inputs[1:])
    scale = weight / np.sqrt(variance + float(str(node.attributes["epsilon"])))
    values = (scale, bias - mean * scale)
    draft.tensors[node.output] = draft.add(
        "Scale", draft.tensors[node.inputs[0]], parameters={0: scale.size, 1: 1}, values=values
    )


def _channels(draft: Draft, node: Node, first: int, after_last: int) -> None:
    parameters = {9: [first], 10: [after_last], 11: [0]}
    draft.tensors[node.output] = draft.add("Crop", draft.tensors[node.inputs[0]], parameters=parameters)


def _slice(draft: Draft, node: Node) -> None:
    _channels(draft, node, *(int(draft.weight(name)[0]) for name in node.inputs[1:3]))


def _gather(draft: Draft, node: Node) -> None:
    index = int(draft.weight(node.inputs[1]))
    _channels(draft, node, index, index + 1)


def _identity(draft: Draft, node: Node) -> None:
    draft.tensors[node.output] = draft.tensors[node.inputs[0]]


def _plainly(kind: str, parameters: Mapping[int, int]) -> Callable[[Draft, Node], None]:
    """A layer that does what the operator does."""

    def become(draft: Draft, node: Node) -> None:
        _keep(draft, node, draft.add(kind, *(draft.operand(name) for name in node.inputs), parameters=parameters))

    return become


def _unsqueeze(draft: Draft, node: Node) -> None:
    """One value for each channel, from a list to a column."""
    parameters = {0: 1, 1: 1, 2: -1}
    draft.tensors[node.output] = draft.add("Reshape", draft.tensors[node.inputs[0]], parameters=parameters)
    draft.columns[node.output] = 1


def _resize(draft: Draft, node: Node) -> None:
    """Twice as many rows and columns, each pixel four times."""
    draft.tensors[node.output] = draft.add("Interp", draft.tensors[node.inputs[0]], parameters={0: 1, 1: 2.0, 2: 2.0})


_TRANSLATIONS: Final[Mapping[str, Callable[[Draft, Node], None]]] = {
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
