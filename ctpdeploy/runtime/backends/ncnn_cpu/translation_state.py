"""The state of a translation: the layers so far, and properties of the tensors between them."""

from typing import Any, Final

from numpy.typing import NDArray

from ctpdeploy.runtime.backends.ncnn_cpu.layers import Layer, Parameters
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node

__all__ = ["TranslationState"]

_ONE_THREAD: Final = {31: 128}
"""Waking the others takes longer than the work."""


class TranslationState:
    """The layers of a translation so far, and the properties of its tensors.

    Args:
        graph: the network that is translated.

    Attributes:
        graph: the network that is translated.
        layers: ncnn's, in order.
        tensors: ncnn's names of the tensors, by those of the graph.
        columns: those tensors of the graph that have one value for each channel, and their number as far as constants
            determine it: 1 is one or any number.
        rows: those that have one value for each row of each channel, likewise.
        small: those tensors of ncnn that have one value for each channel, or for each row of each.
        products: ``(x, scale)`` of products that wait for their sum, likewise.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers = [Layer(kind="Input", inputs=(), outputs=(name,)) for name in graph.inputs]
        self.tensors = {name: name for name in graph.inputs}
        self.columns = {name: value.size for name, value in graph.constants.items() if _is_column(value)}
        self.rows: set[str] = set()
        self.small: set[str] = set()
        self.products: dict[str, tuple[str, str]] = {}
        self._users: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._users.setdefault(name, []).append(node)

    def add(self, kind: str, *inputs: str, parameters: Parameters, **constants: Any) -> str:  # noqa: ANN401  as of Layer
        """Append a layer and return the name of its output.

        A layer with none but small inputs runs in one thread.
        """
        output = f"t{len(self.layers)}"
        small = self.small.issuperset(inputs)
        parameters = {**parameters, **_ONE_THREAD} if small and inputs else parameters
        self.layers.append(Layer(kind=kind, inputs=inputs, outputs=(output,), parameters=parameters, **constants))
        if small:
            self.small.add(output)
        return output

    def operand(self, name: str) -> str:
        """Name of a tensor in ncnn; a constant becomes a layer when it is first used."""
        if name not in self.tensors:
            if name not in self.columns:
                raise ValueError(f"its constant '{name}' has neither one value nor one for each channel")
            value = self.graph.constants[name]
            shape = {0: 1, 1: 1, 2: value.size}
            self.tensors[name] = self.add("MemoryData", parameters=shape, values=(value.reshape(-1),))
        return self.tensors[name]

    def weight(self, name: str) -> NDArray[Any]:
        """A constant that goes into a layer."""
        if name not in self.graph.constants:
            raise ValueError(f"its weights '{name}' are computed")
        return self.graph.constants[name]

    def only_user(self, name: str, operator: str) -> Node | None:
        """The operator that alone uses a tensor, if it is of this kind."""
        users = self._users.get(name, [])
        alone = len(users) == 1 and name not in self.graph.outputs
        return users[0] if alone and users[0].operator == operator else None

    def end_in_relu(self, node: Node) -> tuple[str, bool]:
        """The output of an operator, or of the ReLU that alone follows it, and whether there is one."""
        relu = self.only_user(node.output, "Relu")
        return (node.output, False) if relu is None else (relu.output, True)


def _is_column(value: NDArray[Any]) -> bool:
    return value.dtype.kind == "f" and (value.size == 1 or (value.ndim == 3 and value.shape[1:] == (1, 1)))
