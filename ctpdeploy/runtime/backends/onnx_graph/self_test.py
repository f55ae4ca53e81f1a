"""The test at load: a backend's form of a network against the reference in NumPy, with the network's weights.

Rounding differs, and networks amplify it, so the yardstick is NumPy's own error: its float32 against its float64. On
the networks tried F(4x4) has up to 4 times that, half precision 80 times and more.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import evaluate
from ctpdeploy.runtime.backends.onnx_graph.shapes import infer_shapes
from ctpdeploy.runtime.backends.slices import RunSlice

__all__ = ["LIMIT", "compare_with_reference"]

LIMIT: Final = 20.0
"""Root mean square error allowed, in units of NumPy's."""

_SIZE: Final = 32
"""Rows and columns of the slice: all networks can halve it five times."""


def compare_with_reference(run: RunSlice, graph: Graph, *, called: str) -> None:
    """Refuse a form of a network whose error on a test slice is far above that of float32 arithmetic.

    Args:
        run: the backend's form of the network, for slices of any size that its pooling can halve.
        graph: the network.
        called: the backend, in words.

    Raises:
        ValueError: the shapes of its tensors do not fit together.
        BackendError: an output is off by more than ``LIMIT``.
    """
    noise = np.random.default_rng(0)
    inputs = {name: noise.random((1, shape[0], _SIZE, _SIZE), np.float32) for name, shape in graph.inputs.items()}
    infer_shapes(graph, {name: array.shape for name, array in inputs.items()})  # before any kernel is handed one
    expected, own = evaluate(graph, inputs, np.float64), evaluate(graph, inputs, np.float32)
    found = run({name: array[0] for name, array in inputs.items()})
    for name, truth in expected.items():
        error, yardstick = _rms(found[name].reshape(truth.shape) - truth), _rms(own[name] - truth)
        if not error <= LIMIT * yardstick + np.finfo(np.float32).eps:
            raise BackendError(
                f"{called} computes wrongly here: its {name} of a test slice is off by {error:.1e}, NumPy's by "
                f"{yardstick:.1e}: use ort-cpu, or another version of {called}."
            )


def _rms(difference: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(difference, dtype=np.float64).mean()))
