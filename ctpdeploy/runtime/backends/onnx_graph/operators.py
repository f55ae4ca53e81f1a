"""The operators and attributes for which the translations and the NumPy reference follow the ONNX standard.

An attribute that is not written has the standard's default, so each of these has to be written.
"""

from collections.abc import Mapping
from typing import Any, Final

from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, Node

__all__ = ["check_operators"]

_PLAIN: Final = {"auto_pad": "NOTSET", "dilations": [1, 1]}

_MEANT: Final[Mapping[str, Mapping[str, Any]]] = {
    "Add": {},
    "BatchNormalization": {},
    "Concat": {"axis": 1},
    "Conv": {**_PLAIN, "group": 1},
    "ConvTranspose": {**_PLAIN, "group": 1},
    "Div": {},
    "Gather": {"axis": 1},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1},
    "Identity": {},
    "MaxPool": {**_PLAIN, "ceil_mode": 0},
    "Mul": {},
    "ReduceMean": {},
    "Relu": {},
    "Resize": {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"},
    "Sigmoid": {},
    "Slice": {},
    "Softmax": {"axis": 1},
    "Sqrt": {},
    "Sub": {},
    "Unsqueeze": {},
}

_CONSTANTS: Final[Mapping[str, Mapping[int, list[float]]]] = {
    "Resize": {2: [1, 1, 2, 2]},
    "Slice": {3: [1]},
    "Unsqueeze": {1: [2, 3]},
}
"""Inputs, by their place, that have to be these constants."""


def check_operators(graph: Graph) -> None:
    """Refuse a network with an operator or attribute that would be translated wrongly.

    Raises:
        ValueError: with the first thing found.
    """
    for node in graph.nodes:
        if node.operator not in _MEANT:
            raise ValueError(f"it has the operator {node.operator}")
        for name, meant in _MEANT[node.operator].items():
            if node.attributes.get(name) != meant:
                raise ValueError(f"its operator {node.operator} has {name} {node.attributes.get(name)}")
        for place, meant in _CONSTANTS.get(node.operator, {}).items():
            if _constant(graph, node, place) != meant:
                raise ValueError(f"its operator {node.operator} has another input {place} than {meant}")


def _constant(graph: Graph, node: Node, place: int) -> list[float] | None:
    name = node.inputs[place] if place < len(node.inputs) else ""
    return graph.constants[name].tolist() if name in graph.constants else None
