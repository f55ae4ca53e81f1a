"""A session as a network on device memory."""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.driver import leave_capture
from ctpdeploy.runtime.backends.cuda.errors import failure
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.backends.ort_cuda.session import EXTRA, named
from ctpdeploy.runtime.bundle.bundle import Network
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["OrtCudaNetwork"]

_MOST_SLICES: Final = 32
"""At once: more would only take more memory."""

_EAGER: Final = -1
"""The number of no CUDA graph."""

Arrays = Mapping[str, DeviceArray]
Binding = Any
"""Input and output buffers of a session; untyped, since onnxruntime may not be installed."""


class OrtCudaNetwork:
    """A :class:`ctpdeploy.runtime.backends.cuda.network.DeviceNetwork` in one ONNX Runtime session.

    CUDA graphs are ONNX Runtime's own, each under a number: captured by ours, a session unaware of that would free
    host buffers that the graph reads again. It captures in the stream that it was given, and replays there.

    Args:
        session: from :func:`ctpdeploy.runtime.backends.ort_cuda.session.open_session`, in the stream of kernels.
        sealed: entry of the network in the bundle.
        workspace: on the GPU.
        info: on the engine, for the report.
    """

    def __init__(self, session: Any, sealed: Network, workspace: Workspace, info: EngineInfo) -> None:  # noqa: ANN401
        self._session = session
        self._workspace = workspace
        self._info = info
        self._inputs = {name: tuple(int(n) for n in shape[1:]) for name, shape in sealed.inputs.items()}
        self._outputs = {name: tuple(int(n) for n in shape[1:]) for name, shape in sealed.outputs.items()}
        self._graphs = itertools.count()

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        return self._info

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of one slice of each input."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of one slice of each output."""
        return self._outputs

    @property
    def most_slices(self) -> int:
        """Largest number of slices in one call of ``run``."""
        return _MOST_SLICES

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """Queue one batch."""
        _run(self._session, self._bound(inputs, outputs), _EAGER)

    def capture(self, inputs: Arrays, outputs: Arrays) -> Callable[[], None] | None:
        """A replay of ``run`` on these very arrays.

        ONNX Runtime needs the memory that ``run`` with so many slices has left in its arena: it cannot allocate more
        while it captures. The session keeps its graphs as long as it lives.
        """
        replay = partial(_run, self._session, self._bound(inputs, outputs), next(self._graphs))
        try:
            replay()  # the first run under a number captures, and then replays
        except BackendError:
            leave_capture(self._workspace.kernels.handle)
            return None
        return replay

    def close(self) -> None:
        """Drop the session, and with it its arena and its graphs."""
        self._session = None

    def _bound(self, inputs: Arrays, outputs: Arrays) -> Binding:
        binding = self._session.io_binding()
        for name in self._inputs:
            binding.bind_input(name, "cuda", 0, np.float32, inputs[name].shape, inputs[name].address)
        for name in self._outputs:
            binding.bind_output(name, "cuda", 0, np.float32, outputs[name].shape, outputs[name].address)
        return binding


def _run(session: Any, binding: Binding, graph: int) -> None:  # noqa: ANN401
    """Queue a run under the number of a graph, without waiting for it."""
    onnxruntime = require("onnxruntime", extra=EXTRA)
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    try:
        session.run_with_iobinding(binding, options)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise failure(named(onnxruntime), "does not run the networks", str(error)) from error
