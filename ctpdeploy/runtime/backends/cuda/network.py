"""Networks on a device: the protocol of TensorRT, TensorRT-RTX and ONNX Runtime's CUDA provider."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["DeviceNetwork"]


class DeviceNetwork(Protocol):
    """The merged network of a bundle, on arrays in the memory of a device.

    Contract:
        * it was opened for one workspace, and queues all its work in the workspace's stream of kernels;
        * it reads and writes the very arrays that it is given, and copies nothing to the host;
        * slices are independent: a slice gives the same outputs in every batch, within 1e-6;
        * outputs may hold NaN or infinity; the caller checks them;
        * the caller waits for the queued work before freeing an array that it was given, and before closing it.
    """

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of one slice of each input, float32, by name: ``frames`` or ``features``, or both."""
        ...

    @property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of one slice of each output, float32, by its name in ``SliceOutputs``."""
        ...

    @property
    def most_slices(self) -> int:
        """Largest number of slices in one call of ``run``."""
        ...

    def run(self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]) -> None:
        """Queue one batch; arrays are float32 ``(N, *shape)``, N at least 1 and at most ``most_slices``.

        Raises:
            OutOfMemoryError: the device has not enough memory for so many slices; fewer may fit.
            BackendError: the device refuses.
        """
        ...

    def capture(
        self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]
    ) -> Callable[[], None] | None:
        """A replay of ``run`` on these very arrays as one CUDA graph, queued where ``run`` queues.

        ``run`` has been called with these arrays before; where the package can be captured, ``Device.capture`` makes
        the graph of another such call. None where there is no such graph. The replay may differ from ``run`` only
        where the package is at fault: who uses it compares.

        Raises:
            BackendError: the device is lost.
        """
        ...

    def close(self) -> None:
        """Give back what it holds on the device; neither it nor a replay of it runs any more."""
        ...
