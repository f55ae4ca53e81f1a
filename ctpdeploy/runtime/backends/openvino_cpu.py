"""OpenVINO on the CPU: about as fast as ONNX Runtime, for those who have it already."""

import importlib.metadata
import platform
from typing import Final

import numpy as np

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import available, require
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["NAME", "OpenvinoEngine", "open_engine", "unavailable_because"]

NAME: Final = "openvino"
_EXTRA: Final = "openvino"

_SETTINGS: Final = {
    "INFERENCE_PRECISION_HINT": "f32",  # as the graph says, where the processor would offer bfloat16
    "PERFORMANCE_HINT": "LATENCY",  # all cores on a slice
    "ENABLE_CPU_PINNING": False,  # each compiled model pins its threads to the same cores: two halve each other's speed
}


def unavailable_because() -> str | None:
    """Why the backend cannot run here and what to do, or None if it can."""
    if not available("openvino"):
        return f"openvino is not installed: run pip install 'ctpdeploy[{_EXTRA}]'."
    if not hasattr(require("openvino", extra=_EXTRA), "Core"):
        return "openvino is half removed: run pip install --force-reinstall openvino."
    return None


def open_engine(bundle: Bundle) -> "OpenvinoEngine":
    """Compile the merged network of a bundle.

    Raises:
        BackendError: OpenVINO is missing or refuses the network, or the bundle is quantised.
        InputError: the bundle is damaged.
    """
    return OpenvinoEngine(bundle)


class OpenvinoEngine:
    """The merged network compiled for one slice at a time, which keeps all cores busy."""

    def __init__(self, bundle: Bundle) -> None:
        reason = unavailable_because()
        if reason is not None:
            raise BackendError(f"The backend {NAME} cannot run: {reason}")
        if bundle.precision == "int8":
            # it would multiply in integers, whose sums saturate on processors without VNNI
            raise BackendError(f"The backend {NAME} does not run int8 bundles: take another backend, or export fp32.")
        openvino = require("openvino", extra=_EXTRA)
        self._precision = bundle.precision
        path, network = bundle.network_file(PIPELINE), bundle.networks[PIPELINE]
        try:
            core = openvino.Core()
            core.set_property({"ENABLE_MMAP": False})  # the files of a zipped bundle are gone when it is closed
            model = core.read_model(path)
            model.reshape({name: [1, *shape[1:]] for name, shape in network.inputs.items()})
            self._compiled = core.compile_model(model, "CPU", _SETTINGS)
        except Exception as error:  # OpenVINO raises RuntimeError and its subclasses, and whatever its plug-ins do
            reason = " ".join(str(error).split())
            raise BackendError(f"OpenVINO {openvino.__version__} refuses {path}: {reason}") from error
        self._inputs, self._outputs = tuple(network.inputs), tuple(network.outputs)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return EngineInfo(
            backend=NAME,
            device=platform.processor() or platform.machine(),
            precision=self._precision,
            versions={"openvino": importlib.metadata.version("openvino")},
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        given = {"frames": batch.frames, "features": batch.features}
        slices = [
            self._compiled({name: given[name][i : i + 1] for name in self._inputs}) for i in range(len(batch.frames))
        ]
        return SliceOutputs(**{name: np.concatenate([found[name] for found in slices]) for name in self._outputs})
