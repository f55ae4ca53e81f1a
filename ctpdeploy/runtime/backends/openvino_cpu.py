"""OpenVINO on the CPU: about as fast as ONNX Runtime, for those who have it already.

Its Relu and MaxPool make ordinary numbers of NaN, and its Softmax of most: what one network hands to the next, and the
logits, are looked at as well as what comes out in the end.
"""

from functools import partial
from typing import Any, Final

import numpy as np

from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.backends.packages import refusal_of, require_whole, versions_of
from ctpdeploy.runtime.backends.processor import processor_name
from ctpdeploy.runtime.backends.slice_engine import SliceEngine
from ctpdeploy.runtime.backends.slices import Slice
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKEND", "NAME", "OpenvinoNetwork", "open_engine", "unavailable_because"]

NAME: Final = "openvino"
_EXTRA: Final = "openvino"
_PACKAGES: Final = ("openvino",)

_SETTINGS: Final = {
    "INFERENCE_PRECISION_HINT": "f32",  # as in the graph, where the processor would offer bfloat16
    "PERFORMANCE_HINT": "LATENCY",  # all cores on a slice
    "ENABLE_CPU_PINNING": False,  # each compiled model pins its threads to the same cores: two halve each other's speed
}

_package = partial(require_whole, "openvino", extra=_EXTRA, has="Core")


def unavailable_because() -> str | None:
    """Reason why the backend cannot run here and the remedy, or None if it can."""
    return refusal_of(_package)


def open_engine(bundle: Bundle) -> SliceEngine:
    """Compile the merged network of a bundle.

    Raises:
        BackendError: OpenVINO is missing or refuses the network, or the bundle is quantised.
        InputError: the bundle is damaged.
    """
    info = EngineInfo(
        backend=NAME, device=processor_name(), precision=bundle.precision, versions=versions_of(*_PACKAGES)
    )
    return SliceEngine(OpenvinoNetwork(bundle, PIPELINE), bundle.networks[PIPELINE], info)


class OpenvinoNetwork:
    """A network compiled for one slice at a time, which keeps all cores busy.

    Args:
        bundle: has it.
        role: of the network.

    Raises:
        BackendError: OpenVINO is missing or refuses the network, or the bundle is quantised.
        InputError: the bundle is damaged.
    """

    def __init__(self, bundle: Bundle, role: str) -> None:
        if bundle.precision == "int8":
            # it would multiply in integers, whose sums saturate on processors without VNNI
            raise BackendError(f"The backend {NAME} does not run int8 bundles: take another backend, or export fp32.")
        openvino = _package()
        path, sealed = bundle.network_file(role), bundle.networks[role]
        with as_backend_error(f"OpenVINO {openvino.__version__} refuses {path}", "take another backend"):
            core = openvino.Core()
            core.set_property({"ENABLE_MMAP": False})  # the files of a zipped bundle are gone when it is closed
            model = core.read_model(path)
            model.reshape({name: [1, *shape[1:]] for name, shape in sealed.inputs.items()})
            self._looked_at = _between(model, bundle) - set(sealed.outputs)
            model.add_outputs(sorted(self._looked_at))
            self._compiled: Any = core.compile_model(model, "CPU", _SETTINGS)
        self._inputs, self._outputs = tuple(sealed.inputs), tuple(sealed.outputs)

    def run(self, inputs: Slice) -> Slice:
        """Run one slice.

        Raises:
            GuardError: a network returned NaN or infinity.
        """
        found = self._compiled({name: inputs[name][None] for name in self._inputs})
        for name in (*self._looked_at, *self._outputs):
            if not np.isfinite(found[name]).all():
                raise GuardError(
                    f"The {name} that the backend {NAME} computes holds NaN or infinity: no mask is written; check the "
                    "bundle."
                )
        return {name: found[name].reshape(-1, *found[name].shape[-2:]) for name in self._outputs}

    def close(self) -> None:
        """Drop what was compiled; OpenVINO's threads are the process's."""
        self._compiled = None


def _between(model: Any, bundle: Bundle) -> set[str]:  # noqa: ANN401  OpenVINO is imported where it is needed
    """Tensors of a network that are outputs of one of the bundle's: of the merged one all that its parts return."""
    returned = {name for network in bundle.networks.values() for name in network.outputs}
    return {name for node in model.get_ops() for tensor in node.outputs() for name in tensor.names & returned}


BACKEND: Final = Backend(
    extra=_EXTRA,
    packages=_PACKAGES,
    open=open_engine,
    unavailable_because=unavailable_because,
    open_network=OpenvinoNetwork,
)
