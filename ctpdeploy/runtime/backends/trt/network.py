"""TensorRT and TensorRT-RTX at work: an engine as a network on device memory.

All memory that depends on the number of slices is ours: inputs, outputs, and the activations between them, so that
a card that is too small is found when the network is opened and a CUDA graph never sees an allocation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.errors import failure, free_in_words
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.backends.trt.callbacks import collecting_logger
from ctpdeploy.runtime.backends.trt.deserialise import deserialise_engine
from ctpdeploy.runtime.backends.trt.packages import Native
from ctpdeploy.runtime.bundle.bundle import Network
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["TensorRTNetwork"]

_PROFILE = 0
"""The one range of batch sizes that engines are built with."""

Arrays = Mapping[str, DeviceArray]


class TensorRTNetwork:
    """A :class:`ctpdeploy.runtime.backends.cuda.network.DeviceNetwork` of an engine.

    TensorRT-RTX compiles kernels for the number of slices at hand. It is made to do so before it runs them and not
    beside it, as it would: then the first run and the hundredth do the same arithmetic, and a graph can be captured
    after the first. Its own graphs stay off, since they would be replayed without being compared with anything.

    Args:
        trt: the package that built the engine; a driver and the GPU have to be there.
        engine: the engine, built by this program.
        described: the network as the bundle describes it.
        workspace: on the GPU.
        info: of the engine, for the report.

    Raises:
        OutOfMemoryError: the GPU has not enough memory.
        BackendError: the engine does not open, or is not that of the network.
    """

    def __init__(
        self, trt: ModuleType, engine: bytes, described: Network, workspace: Workspace, info: EngineInfo
    ) -> None:
        self._trt = trt
        self._who = f"{trt.__name__} {trt.__version__}"
        self._workspace = workspace
        self._info = info
        self._logger = collecting_logger(trt)
        self._engine = deserialise_engine(trt, engine, self._logger)
        self._compare(described)
        self._inputs = {name: _one_slice(shape) for name, shape in described.inputs.items()}
        self._outputs = {name: _one_slice(shape) for name, shape in described.outputs.items()}
        self._most_slices = min(
            int(self._engine.get_tensor_profile_shape(name, _PROFILE)[-1][0]) for name in self._inputs
        )
        self._size = int(self._engine.get_device_memory_size_for_profile_v2(_PROFILE))
        self._activations = self._allocate()
        self._context = self._new_context()

    @property
    def info(self) -> EngineInfo:
        """Backend, device, precision and versions."""
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
        """Largest number of slices that the engine was built for."""
        return self._most_slices

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """Queue one batch."""
        self._queue(self._context, inputs, outputs)

    def capture(self, inputs: Arrays, outputs: Arrays) -> Callable[[], None] | None:
        """A replay of ``run`` on these very arrays.

        It has a context of its own, whose shapes never change again, since a graph goes on using what its context
        keeps on the GPU. The activations are shared: all that uses them is queued in one stream.
        """
        stream = self._workspace.kernels
        try:
            context = self._new_context()
        except OutOfMemoryError:
            return None
        self._queue(context, inputs, outputs)  # what a new shape brings about happens now, and is not captured
        if hasattr(context, "is_stream_capturable") and not context.is_stream_capturable(stream.handle):
            return None
        replay = self._workspace.device.capture(stream, partial(self._queue, context, inputs, outputs))
        return None if replay is None else partial(_replay, replay, context)

    def close(self) -> None:
        """Drop the context and the engine, then free the activations that they worked on."""
        self._context = self._engine = None
        self._activations.free()

    def _queue(self, context: Native, inputs: Arrays, outputs: Arrays) -> None:
        slices = next(iter(inputs.values())).shape[0]
        done = (
            all(context.set_input_shape(name, inputs[name].shape) for name in self._inputs)
            and all(context.set_tensor_address(name, inputs[name].address) for name in self._inputs)
            and all(context.set_tensor_address(name, outputs[name].address) for name in self._outputs)
            and context.execute_async_v3(self._workspace.kernels.handle)
        )
        if not done:
            raise failure(self._who, f"does not run {slices} slices", self._logger.taken())

    def _allocate(self) -> Native:
        try:
            return self._workspace.device.allocate(max(self._size, 1))
        except OutOfMemoryError as error:
            needed = f"{self._size / 1e9:.2f} GB for the activations of {self._most_slices} slices"
            raise OutOfMemoryError(
                f"{self._who} needs {needed} beside its engine, and {free_in_words()} are free on the GPU: close what "
                "else uses it, or run ctpdeploy warmup with fewer --slices."
            ) from error

    def _new_context(self) -> Native:
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(self._trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if hasattr(config, "dynamic_shapes_kernel_specialization_strategy"):
            strategies = self._trt.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        context = self._engine.create_execution_context(config)
        if context is None:
            raise failure(self._who, "makes no execution context", self._logger.taken())
        context.set_device_memory(int(self._activations), self._size)
        if not context.set_optimization_profile_async(_PROFILE, self._workspace.kernels.handle):
            raise failure(self._who, "does not take its range of slices", self._logger.taken())
        return context

    def _compare(self, described: Network) -> None:
        """Refuse an engine of another network; one that is not ours would write where it likes."""
        engine = self._engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        kinds = {name: (engine.get_tensor_mode(name).name, engine.get_tensor_dtype(name).name) for name in names}
        found = {name: (*kinds[name], *engine.get_tensor_shape(name)) for name in names}
        expected = {
            name: (mode, "FLOAT", -1, *_one_slice(shape))
            for mode, shapes in (("INPUT", described.inputs), ("OUTPUT", described.outputs))
            for name, shape in shapes.items()
        }
        if found != expected:
            raise BackendError(
                f"{self._who} has an engine with {found} where the bundle has {expected}: run ctpdeploy warmup again."
            )


def _one_slice(shape: Sequence[int | str]) -> tuple[int, ...]:
    """Without the free axis of slices, which comes first."""
    return tuple(int(length) for length in shape[1:])


def _replay(graph: Callable[[], None], _context: Native) -> None:
    """Queue a graph, whose context has to live as long."""
    graph()
