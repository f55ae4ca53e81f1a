"""The engine that leaves the device once: a raw case goes up, a mask comes down.

::

    preprocessing ──> networks, batch by batch ──> postprocessing      all queued, in one stream
                                              └──> event: the stage is over

The host waits in preprocessing for a few numbers, behind the networks for the time, and at the end for the results.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np

from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime.backends.cuda.batches import Batches
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.network import DeviceNetwork
from ctpdeploy.runtime.backends.cuda.postprocessing import CudaPostprocessor
from ctpdeploy.runtime.backends.cuda.preprocessing import CudaPreprocessor
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.backends.engine import CaseEngine, Engine, closed
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.backends.slices import inputs_of
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["CudaEngine"]


class CudaEngine(CaseEngine):
    """A :class:`ctpdeploy.runtime.backends.engine.CaseEngine` around a network on a device.

    A GPU's context belongs to the thread that made it: calls from another thread than the one that opened the engine
    are refused.

    Args:
        network: opened for the workspace.
        workspace: memory and streams, made in this thread.
        in_float32: opens an engine of the same networks on the host, in float32; called when the device returns NaN or
            infinity for the first time. None if there is no such engine.
    """

    def __init__(
        self, network: DeviceNetwork, workspace: Workspace, *, in_float32: Callable[[], Engine] | None = None
    ) -> None:
        self._network = network
        self._workspace = workspace
        self._batches = Batches(network, workspace)
        self._in_float32 = in_float32
        self._second: Engine | None = None
        self._last_info: EngineInfo | None = None  # of a closed engine
        self._thread = threading.get_ident()

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        return self._last_info or replace(self._network.info, cuda_graph=self._batches.replays.state)

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on slices from host memory."""
        with self._alone():
            given = inputs_of(batch, self._network.inputs)
            inputs = {name: self._workspace.sent(name, array) for name, array in given.items()}
            outputs = self._outputs(len(batch.frames))
            self._batches.run(inputs, outputs)
            found = {name: self._workspace.fetched(f"{name} of all slices", array) for name, array in outputs.items()}
            self._workspace.finish()
        return SliceOutputs(**{name: array.copy() for name, array in found.items()})

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        """Preprocess, run the networks, and postprocess, on the device."""
        with self._alone():
            return self._run_case(case, config)

    def _run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        """The same.

        The time of the networks begins when preprocessing is queued, whose last kernels it includes, and ends when
        their last batch is done.
        """
        workspace, device = self._workspace, self._workspace.device
        postprocessor = CudaPostprocessor(workspace, config)
        started = time.perf_counter()
        batch = CudaPreprocessor(workspace, config).run(case)
        preprocessed = time.perf_counter()
        outputs = self._outputs(case.series.shape[1])
        inputs = {name: getattr(batch, name) for name in self._network.inputs}
        findings = self._batches.run(inputs, outputs)
        networks_done = device.record(workspace.kernels)
        queued = postprocessor.queue(case, outputs["probability"], outputs.get("pseudo_dwi"))
        device.synchronise(networks_done)
        computed = time.perf_counter()
        seconds = {"preprocess": preprocessed - started, "networks": computed - preprocessed}
        try:
            mask, probability, pseudo_dwi = postprocessor.collect(queued)
        except GuardError as error:
            return self._again(case, config, error, findings, seconds)
        return CaseOutputs(
            mask=mask,
            probability=probability,
            pseudo_dwi=pseudo_dwi,
            window=batch.window,
            engine=self.info,
            seconds={**seconds, "postprocess": time.perf_counter() - computed},
            findings=findings,
        )

    def close(self) -> None:
        """Drop the graphs, the networks and all memory on the device, once what is queued there is done.

        Raises:
            BackendError: this is not the thread that opened the engine.
        """
        if self._last_info is not None:
            return
        self._require_own_thread()
        self._last_info = self.info
        with suppress(BackendError):  # a GPU that is lost gives nothing back before the process ends
            self._workspace.device.synchronise()
            self._batches.replays.forget()
            self._network.close()
            self._workspace.close()
        if self._second is not None:
            self._second.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse another thread; what fails leaves nothing queued that would meet the next case."""
        if self._last_info is not None:
            raise closed(self._last_info.backend)
        self._require_own_thread()
        try:
            yield
        except BaseException:
            with suppress(BackendError):
                self._workspace.finish()
            raise

    def _require_own_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise BackendError(
                "The engine was opened in another thread, to which its GPU context belongs: call it from there."
            )

    def _outputs(self, slices: int) -> dict[str, DeviceArray]:
        """Memory for the outputs of the networks for so many slices."""
        return {
            name: self._workspace.array(f"{name} of the networks", (slices, *shape), np.float32)
            for name, shape in self._network.outputs.items()
        }

    def _again(
        self,
        case: Case,
        config: PreprocessConfig,
        error: GuardError,
        findings: tuple[Finding, ...],
        seconds: Mapping[str, float],
    ) -> CaseOutputs:
        """The case once more on the host, since the device returned NaN or infinity."""
        if self._in_float32 is None:
            raise error
        try:
            self._second = self._second or self._in_float32()
        except BackendError as reason:
            raise GuardError(f"{error} It cannot be run again in float32: {reason}") from error
        outputs = run_reference_path(self._second, case, config)
        first, second = self._network.info, self._second.info
        sentence = (
            f"In {first.precision} on {first.device} the networks returned NaN or infinity: "
            f"this case was run again in {second.precision}, by {second.backend} on {second.device}."
        )
        return replace(
            outputs,
            seconds={stage: spent + seconds.get(stage, 0.0) for stage, spent in outputs.seconds.items()},
            findings=(*findings, *outputs.findings, finding("run-again-in-float32", sentence)),
        )
