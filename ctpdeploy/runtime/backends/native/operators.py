"""The operators with kernels for pending tensors; all others run in NumPy, from their definitions.

An operator returns None for operands without a kernel. Operands are pending tensors, tuples of them (a concatenation),
pending squares and row means, and float64 arrays ``(1, C, 1, 1)`` and ``(1, C)`` of one value for each channel.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.kernels import Kernels
from ctpdeploy.runtime.backends.native.lazy_tensor import PendingRowMean, PendingSquare, PendingTensor
from ctpdeploy.runtime.backends.native.weights import Packed
from ctpdeploy.runtime.backends.onnx_graph.graph import Node

__all__ = ["IMAGE_OPERATORS", "Operand", "OperatorContext"]

Array = NDArray[Any]
Operand = PendingTensor | tuple[PendingTensor, ...] | PendingSquare | PendingRowMean | Array


class OperatorContext:
    """The kernels, and the packed constants of convolutions.

    Args:
        kernels: the kernels.

    Attributes:
        kernels: the kernels.
        packed: constants of the convolutions as the kernels take them, by the name of a convolution's output. They
            are packed when it first runs, because the channels of its inputs are determined only then.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.packed: dict[str, Packed] = {}


def _parts(operand: Operand) -> tuple[PendingTensor, ...] | None:
    if isinstance(operand, PendingTensor):
        return (operand,)
    return operand if isinstance(operand, tuple) else None


def _concat(_: OperatorContext, _node: Node, *operands: Operand) -> Operand | None:
    parts = [_parts(operand) for operand in operands]
    return tuple(image for images in parts if images for image in images) if all(parts) else None


def _convolution(context: OperatorContext, node: Node, x: Operand, weight: Array, *bias: Array) -> Operand | None:
    parts, strides, pads = _parts(x), node.numbers("strides", [1, 1]), node.numbers("pads", [0, 0, 0, 0])
    if parts is None or len({*strides}) > 1 or len({*pads}) > 1:
        return None
    if node.output not in context.packed:
        winograd = weight.shape[2:] == (3, 3) and strides[0] == pads[0] == 1
        context.packed[node.output] = context.kernels.pack(weight, bias[0] if bias else None, parts, winograd=winograd)
    packed = context.packed[node.output]
    if packed.winograd:
        return context.kernels.convolve_3x3(parts, packed)
    return context.kernels.convolve(parts, packed, strides[0], pads[0])


def _transposed_convolution(
    context: OperatorContext, node: Node, x: Operand, weight: Array, *bias: Array
) -> Operand | None:
    parts, pads = _parts(x), (*node.numbers("pads", []), *node.numbers("output_padding", []))
    if parts is None or node.numbers("strides", []) != [2, 2] or any(pads):
        return None
    if node.output not in context.packed:
        if weight.shape[2:] != (2, 2):
            return None
        values, corners = bias[0] if bias else None, [weight[:, :, i : i + 1, j : j + 1] for i, j in np.ndindex(2, 2)]
        sets = [context.kernels.pack(corner.swapaxes(0, 1), values, parts, winograd=False) for corner in corners]
        context.packed[node.output] = replace(sets[0], weights=np.concatenate([packed.weights for packed in sets]))
    return context.kernels.conv_transpose2x2(parts, context.packed[node.output])


def _max_pool(context: OperatorContext, node: Node, x: Operand) -> Operand | None:
    kernel, strides = node.numbers("kernel_shape", []), node.numbers("strides", [1, 1])
    pads = node.numbers("pads", [0, 0, 0, 0])
    if not isinstance(x, PendingTensor) or len({*strides}) > 1 or len({*pads}) > 1:
        return None
    return context.kernels.max_pool(x, (kernel[0], kernel[1]), strides[0], pads[0])


def _sum(context: OperatorContext, _: Node, x: Operand, y: Operand) -> Operand | None:
    if isinstance(x, PendingTensor) and isinstance(y, PendingTensor):
        return context.kernels.materialised([x, y])
    image, column = (x, y) if isinstance(x, PendingTensor) else (y, x)
    return _affine(context, image, shift=column)


def _difference(context: OperatorContext, _: Node, x: Operand, y: Operand) -> Operand | None:
    return _affine(context, x, shift=-y) if isinstance(y, np.ndarray) else None


def _product(context: OperatorContext, _: Node, x: Operand, y: Operand) -> Operand | None:
    if isinstance(x, PendingTensor) and x is y:
        return PendingSquare(of=x)
    image, column = (x, y) if isinstance(x, PendingTensor) else (y, x)
    return _affine(context, image, scale=column)


def _affine(context: OperatorContext, image: Operand, **columns: Operand) -> Operand | None:
    ((name, column),) = columns.items()
    if (
        not isinstance(image, PendingTensor)
        or not isinstance(column, np.ndarray)
        or column.size not in (1, image.channels)
    ):
        return None
    values = {name: column.reshape(-1)}
    done = image.affine(**values)
    return done if done is not None else context.kernels.materialised([image]).affine(**values)


def _batch_norm(context: OperatorContext, node: Node, x: Operand, *constants: Array) -> Operand | None:
    weight, bias, mean, variance = constants
    scale = weight / np.sqrt(variance + float(str(node.attributes["epsilon"])))
    scaled = _affine(context, x, scale=scale)
    return None if scaled is None else _affine(context, scaled, shift=bias - mean * scale)


def _relu(_: OperatorContext, _node: Node, x: Operand) -> Operand | None:
    return x.rectified() if isinstance(x, PendingTensor) else None


def _identity(_: OperatorContext, _node: Node, x: Operand) -> Operand:
    return x


def _resize(context: OperatorContext, _: Node, x: Operand, *_operands: Operand) -> Operand | None:
    return context.kernels.upsample2x(x) if isinstance(x, PendingTensor) else None


def _mean(context: OperatorContext, node: Node, x: Operand, axes: Array) -> Operand | None:
    """Over the pixels, at once or of the rows first."""
    over, keep = axes.tolist(), node.attributes.get("keepdims")
    if over == [3] and keep and isinstance(x, PendingTensor | PendingSquare):
        return PendingRowMean(of=x)
    whole = x.of if isinstance(x, PendingRowMean) and over == [2] else x if over == [2, 3] else None
    image = whole.of if isinstance(whole, PendingSquare) else whole
    if not isinstance(image, PendingTensor):
        return None
    mean, variance = context.kernels.moments(image)
    value = variance + mean**2 if isinstance(whole, PendingSquare) else mean
    return value[None, :, None, None] if keep else value[None, :]


IMAGE_OPERATORS: Final[Mapping[str, Callable[..., Operand | None]]] = {
    "Add": _sum,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Identity": _identity,
    "MaxPool": _max_pool,
    "Mul": _product,
    "ReduceMean": _mean,
    "Relu": _relu,
    "Resize": _resize,
    "Sub": _difference,
}
