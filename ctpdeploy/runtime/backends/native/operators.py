"""The operators that have a form for images; all others run in NumPy, from their definitions.

An operator returns None for operands that it has no form for. They are images, tuples of images (a concatenation),
squares and rows on their way to a mean, and float64 arrays ``(1, C, 1, 1)`` and ``(1, C)`` of what is known of each
channel.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.kernels import Kernels
from ctpdeploy.runtime.backends.native.lazy_tensor import Image, Row, Square
from ctpdeploy.runtime.backends.native.weights import Packed
from ctpdeploy.runtime.backends.onnx_graph.graph import Node

__all__ = ["IMAGE_OPERATORS", "Operand", "Workshop"]

Array = NDArray[Any]
Operand = Image | tuple[Image, ...] | Square | Row | Array


class Workshop:
    """What operators work with.

    Args:
        kernels: the kernels.

    Attributes:
        kernels: the kernels.
        packed: constants of the convolutions as the kernels take them, by the name of what a convolution makes. They
            are packed when it first runs, because only then is known what it reads.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.packed: dict[str, Packed] = {}


def _parts(operand: Operand) -> tuple[Image, ...] | None:
    if isinstance(operand, Image):
        return (operand,)
    return operand if isinstance(operand, tuple) else None


def _concat(_: Workshop, _node: Node, *operands: Operand) -> Operand | None:
    parts = [_parts(operand) for operand in operands]
    return tuple(image for images in parts if images for image in images) if all(parts) else None


def _convolution(shop: Workshop, node: Node, x: Operand, weight: Array, *bias: Array) -> Operand | None:
    parts, strides, pads = _parts(x), node.numbers("strides", [1, 1]), node.numbers("pads", [0, 0, 0, 0])
    if parts is None or len({*strides}) > 1 or len({*pads}) > 1:
        return None
    if node.output not in shop.packed:
        winograd = weight.shape[2:] == (3, 3) and strides[0] == pads[0] == 1
        shop.packed[node.output] = shop.kernels.pack(weight, bias[0] if bias else None, parts, winograd=winograd)
    packed = shop.packed[node.output]
    if packed.winograd:
        return shop.kernels.convolve_3x3(parts, packed)
    return shop.kernels.convolve(parts, packed, strides[0], pads[0])


def _transposed_convolution(shop: Workshop, node: Node, x: Operand, weight: Array, *bias: Array) -> Operand | None:
    parts, pads = _parts(x), (*node.numbers("pads", []), *node.numbers("output_padding", []))
    if parts is None or node.numbers("strides", []) != [2, 2] or any(pads):
        return None
    if node.output not in shop.packed:
        if weight.shape[2:] != (2, 2):
            return None
        values, corners = bias[0] if bias else None, [weight[:, :, i : i + 1, j : j + 1] for i, j in np.ndindex(2, 2)]
        sets = [shop.kernels.pack(corner.swapaxes(0, 1), values, parts, winograd=False) for corner in corners]
        shop.packed[node.output] = replace(sets[0], weights=np.concatenate([packed.weights for packed in sets]))
    return shop.kernels.double(parts, shop.packed[node.output])


def _max_pool(shop: Workshop, node: Node, x: Operand) -> Operand | None:
    kernel, strides = node.numbers("kernel_shape", []), node.numbers("strides", [1, 1])
    pads = node.numbers("pads", [0, 0, 0, 0])
    if not isinstance(x, Image) or len({*strides}) > 1 or len({*pads}) > 1:
        return None
    return shop.kernels.max_pool(x, (kernel[0], kernel[1]), strides[0], pads[0])


def _sum(shop: Workshop, _: Node, x: Operand, y: Operand) -> Operand | None:
    if isinstance(x, Image) and isinstance(y, Image):
        return shop.kernels.settled([x, y])
    image, column = (x, y) if isinstance(x, Image) else (y, x)
    return _affine(shop, image, shift=column)


def _difference(shop: Workshop, _: Node, x: Operand, y: Operand) -> Operand | None:
    return _affine(shop, x, shift=-y) if isinstance(y, np.ndarray) else None


def _product(shop: Workshop, _: Node, x: Operand, y: Operand) -> Operand | None:
    if isinstance(x, Image) and x is y:
        return Square(of=x)
    image, column = (x, y) if isinstance(x, Image) else (y, x)
    return _affine(shop, image, scale=column)


def _affine(shop: Workshop, image: Operand, **columns: Operand) -> Operand | None:
    ((name, column),) = columns.items()
    if not isinstance(image, Image) or not isinstance(column, np.ndarray) or column.size not in (1, image.channels):
        return None
    values = {name: column.reshape(-1)}
    done = image.affine(**values)
    return done if done is not None else shop.kernels.settled([image]).affine(**values)


def _batch_norm(shop: Workshop, node: Node, x: Operand, *constants: Array) -> Operand | None:
    weight, bias, mean, variance = constants
    scale = weight / np.sqrt(variance + float(str(node.attributes["epsilon"])))
    scaled = _affine(shop, x, scale=scale)
    return None if scaled is None else _affine(shop, scaled, shift=bias - mean * scale)


def _relu(_: Workshop, _node: Node, x: Operand) -> Operand | None:
    return x.rectified() if isinstance(x, Image) else None


def _identity(_: Workshop, _node: Node, x: Operand) -> Operand:
    return x


def _resize(shop: Workshop, _: Node, x: Operand, *_operands: Operand) -> Operand | None:
    return shop.kernels.enlarge(x) if isinstance(x, Image) else None


def _mean(shop: Workshop, node: Node, x: Operand, axes: Array) -> Operand | None:
    """Over the pixels, at once or of the rows first."""
    over, keep = axes.tolist(), node.attributes.get("keepdims")
    if over == [3] and keep and isinstance(x, Image | Square):
        return Row(of=x)
    whole = x.of if isinstance(x, Row) and over == [2] else x if over == [2, 3] else None
    image = whole.of if isinstance(whole, Square) else whole
    if not isinstance(image, Image):
        return None
    mean, variance = shop.kernels.moments(image)
    value = variance + mean**2 if isinstance(whole, Square) else mean
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
