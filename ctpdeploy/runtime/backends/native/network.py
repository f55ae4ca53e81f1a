"""The merged network, operator by operator: tensors of pixels in the kernels, vectors of channels in NumPy."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.kernels import Kernels
from ctpdeploy.runtime.backends.native.lazy_tensor import PendingRowMean, PendingSquare, PendingTensor
from ctpdeploy.runtime.backends.native.operators import IMAGE_OPERATORS, Operand, OperatorContext
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import OPERATORS
from ctpdeploy.runtime.backends.onnx_graph.operators import check_operators
from ctpdeploy.runtime.backends.onnx_graph.self_test import compare_with_reference
from ctpdeploy.runtime.backends.onnx_graph.shapes import infer_shapes

__all__ = ["Network"]


class Network:
    """A network ready to run; one slice at a time, from whatever thread.

    Args:
        graph: the network.
        threads: how many share the work of a slice.
        called: the backend, in words.

    Raises:
        ValueError: it has an unsupported operator, or an unsupported form of one.
        BackendError: its outputs differ from those of its graph, or memory ran out.
    """

    def __init__(self, graph: Graph, threads: int, *, called: str) -> None:
        check_operators(graph)
        self._graph, self._sizes = graph, set[tuple[int, ...]]()
        infer_shapes(graph)
        self._nodes, self._outputs = graph.nodes, graph.outputs
        self._constants = {"": np.empty(0)} | {name: _wide(value) for name, value in graph.constants.items()}
        self._last_read = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
        self._context = OperatorContext(Kernels(threads))
        self._lock = Lock()
        compare_with_reference(self.run, graph, called=called)
        packed, others = (
            {name for node in graph.nodes if (node.output in self._context.packed) is kept for name in node.inputs[1:]}
            for kept in (True, False)
        )
        # the kernels have them now in their own form
        self._constants |= dict.fromkeys(packed - others, np.empty(0))

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Run one slice.

        Args:
            inputs: ``(C, H, W)`` by name.

        Returns:
            Outputs by name, ``(C, H, W)``.

        Raises:
            ValueError: an operator cannot take tensors of that size.
        """
        with self._lock:
            self._require_shapes({name: (1, *array.shape) for name, array in inputs.items()})
            tensors: dict[str, Operand] = {name: array[None] for name, array in inputs.items()}
            for i, node in enumerate(self._nodes):
                tensors[node.output] = self._apply(node, tensors)
                for name in node.inputs:
                    if self._last_read[name] == i and name not in self._outputs:
                        tensors.pop(name, None)  # and its memory is free
            made = {name: self._array(tensors[name]) for name in self._outputs}
        return {name: array.astype(np.float32).reshape(-1, *array.shape[-2:]) for name, array in made.items()}

    def close(self) -> None:
        """End the threads, once no slice is at work."""
        with self._lock:
            self._context.kernels.close()

    def _require_shapes(self, inputs: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse inputs of shapes that the kernels cannot take; those of one size are looked at once."""
        key = tuple(side for name in self._graph.inputs for side in inputs[name])
        if key not in self._sizes:
            infer_shapes(self._graph, inputs)
            self._sizes.add(key)

    def _apply(self, node: Node, tensors: Mapping[str, Operand]) -> Operand:
        operands = [tensors[name] if name in tensors else self._constants[name] for name in node.inputs]
        if node.operator in IMAGE_OPERATORS:
            seen = [self._image(x) if name in tensors else x for name, x in zip(node.inputs, operands, strict=True)]
            made = IMAGE_OPERATORS[node.operator](self._context, node, *seen)
            if made is not None:
                return made
        return OPERATORS[node.operator](node, *map(self._array, operands))

    def _image(self, operand: Operand) -> Operand:
        """An array of pixels as a pending tensor, any other operand unchanged."""
        if isinstance(operand, np.ndarray) and operand.ndim == 4 and operand.shape[2:] != (1, 1):
            return self._context.kernels.image(operand)
        return operand

    def _array(self, operand: Operand) -> NDArray[Any]:
        """The values of any operand."""
        match operand:
            case PendingTensor():
                return self._context.kernels.array(operand)
            case tuple():
                return np.concatenate([self._array(image) for image in operand], axis=1)
            case PendingSquare():
                return self._array(operand.of) ** 2
            case PendingRowMean():
                return self._array(operand.of).mean(axis=3, keepdims=True)
        return operand


def _wide(constant: NDArray[Any]) -> NDArray[Any]:
    """Small constants in float64, so that the little that is computed with them does not round; images' as they are.

    A 1x1 convolution may be of a column, as in Squeeze-and-Excitation, and then runs in NumPy; the kernels take it too.
    """
    small = constant.dtype.kind == "f" and (constant.ndim != 4 or constant.shape[2:] == (1, 1))
    return constant.astype(np.float64) if small else constant
