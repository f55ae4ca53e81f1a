"""ONNX Runtime on the CPU as a network on a :class:`HostDevice`: a stand-in for the engines of a GPU."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ctpdeploy.emulator.device import HostDevice, host_view
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.backends.ort_cpu import open_session
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.processor import processor_name
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["NAME", "PACKAGES", "HostNetwork"]

NAME: Final = "cuda-host"
PACKAGES: Final = ("onnxruntime",)

_MOST_SLICES: Final = 8
"""Few, so that a case of usual size goes in several batches."""


class HostNetwork:
    """A :class:`ctpdeploy.runtime.backends.cuda.network.DeviceNetwork` that computes when its stream comes so far.

    Args:
        device: on which the work is queued.
        workspace: of that device.
        network: file of the merged network.
        precision: number format of its arithmetic.
        called: path of the file in error messages.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the network.
    """

    def __init__(self, device: HostDevice, workspace: Workspace, network: Path, precision: str, called: Path) -> None:
        self._device = device
        self._workspace = workspace
        self._precision = precision
        self._session = open_session(network, called)
        self._inputs = {value.name: tuple(value.shape[1:]) for value in self._session.get_inputs()}
        self._outputs = {value.name: tuple(value.shape[1:]) for value in self._session.get_outputs()}

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        return EngineInfo(
            backend=NAME,
            device=processor_name(),
            precision=self._precision,
            versions=versions_of(*PACKAGES),
        )

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

    def run(self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]) -> None:
        """Queue one batch."""
        self._device.call(self._workspace.kernels, lambda: self._compute(inputs, outputs))

    def capture(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Callable[[], None] | None:
        """A replay of ``run`` on these very arrays."""
        return self._device.capture(self._workspace.kernels, lambda: self.run(inputs, outputs))

    def close(self) -> None:
        """Drop the session."""
        self._session = None

    def _compute(self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]) -> None:
        given = {name: host_view(array) for name, array in inputs.items()}
        found = {name: host_view(array) for name, array in outputs.items()}
        for i in range(len(next(iter(given.values())))):  # in a batch a slice is off by 3e-6 here
            one = {name: array[i : i + 1] for name, array in given.items()}
            try:
                results = self._session.run(list(found), one)
            except Exception as error:  # ONNX Runtime's exceptions share no base class
                raise BackendError(f"ONNX Runtime cannot run the networks: {error}") from error
            for array, (result,) in zip(found.values(), results, strict=True):
                array[i] = result
