"""A stand-in for TensorRT's runtime, on a :class:`HostDevice`: an engine is the ONNX network, ONNX Runtime computes it.

It has the classes, methods and argument types that the real bindings have (``test_classic.py`` compares the names),
and uses what TensorRT leaves open against the caller: activations are overwritten from end to end, an execution
context whose shapes have changed spoils the graphs that were captured from it, and addresses must be integers.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from ctpdeploy.emulator.device import HostDevice, host_view
from ctpdeploy.runtime.backends.cuda.device import DeviceArray

ENUM = SimpleNamespace
ACTIVATION_BYTES = 4096


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2

    def __init__(self) -> None: ...


class StandIn:
    """The package. What is to go wrong is set on it.

    Attributes:
        contexts: all that were made.
        fails: name of a method to what it logs when it fails.
        spoils: whether all outputs become NaN.
        edit: changes what the engine says of its tensors.
    """

    __name__ = "tensorrt"
    __version__ = "10.16.1.11"
    ILogger = ILogger
    ExecutionContextAllocationStrategy = ENUM(STATIC="static", USER_MANAGED="ours")

    def __init__(self, device: HostDevice, *, slices: tuple[int, int, int] = (1, 2, 4)) -> None:
        self.device = device
        self.slices = slices
        self.contexts: list[Context] = []
        self.fails: dict[str, str] = {}
        self.spoils = False
        self.edit: Callable[[dict[str, list[Any]]], object] = lambda _: None
        self.Runtime = lambda logger: Runtime(self, logger)

    def failing(self, method: str, logger: Any) -> bool:
        if method not in self.fails:
            return False
        logger.log(ILogger.ERROR, self.fails[method])
        return True


class RtxStandIn(StandIn):
    """TensorRT-RTX, which has more: strategies, and what it says of the validity of an engine."""

    __name__ = "tensorrt_rtx"
    __version__ = "1.7.1.116"
    DynamicShapesKernelSpecializationStrategy = ENUM(LAZY="lazy", EAGER="eager")
    EngineInvalidityDiagnostics = ENUM(
        VERSION_MISMATCH=1, UNSUPPORTED_CC=2, OLD_CUDA_DRIVER=4, OLD_CUDA_RUNTIME=8, INSUFFICIENT_GPU_MEMORY=16,
        MALFORMED_ENGINE=32, CUDA_ERROR=64,
    )  # fmt: skip

    def __init__(self, device: HostDevice, *, invalid: int = 0, capturable: bool = True) -> None:
        super().__init__(device)
        self.invalid = invalid
        self.capturable = capturable
        self.Runtime = lambda logger: RtxRuntime(self, logger)


class Runtime:
    def __init__(self, package: StandIn, logger: Any) -> None:
        self.package, self.logger = package, logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> "Engine | None":
        assert type(serialized_engine) is bytes
        if self.package.failing("deserialize_cuda_engine", self.logger):
            return None
        return Engine(self.package, self.logger, serialized_engine)


class RtxRuntime(Runtime):
    def get_engine_validity(self, buffer: bytes) -> tuple[str, int]:
        assert type(buffer) is bytes
        return ("invalid" if self.package.invalid else "valid"), self.package.invalid


class Engine:
    def __init__(self, package: StandIn, logger: Any, onnx: bytes) -> None:
        self.package, self.logger = package, logger
        self.session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self.tensors = {
            value.name: [mode, "FLOAT", [-1, *value.shape[1:]]]
            for mode, values in (("INPUT", self.session.get_inputs()), ("OUTPUT", self.session.get_outputs()))
            for value in values
        }
        package.edit(self.tensors)
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return ENUM(name=self.tensors[name][0])

    def get_tensor_dtype(self, name: str) -> Any:
        return ENUM(name=self.tensors[name][1])

    def get_tensor_shape(self, name: str) -> list[int]:
        return self.tensors[name][2]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        assert profile_index == 0
        return [[n, *self.tensors[name][2][1:]] for n in self.package.slices]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        assert profile_index == 0
        return ACTIVATION_BYTES

    def create_runtime_config(self) -> Any:
        config = ENUM(strategy="static")
        config.set_execution_context_allocation_strategy = lambda strategy: setattr(config, "strategy", strategy)
        if isinstance(self.package, RtxStandIn):
            config.dynamic_shapes_kernel_specialization_strategy = "lazy"
        return config

    def create_execution_context(self, runtime_config: Any) -> "Context | None":
        if self.package.failing("create_execution_context", self.logger):
            return None
        context = (RtxContext if isinstance(self.package, RtxStandIn) else Context)(self, runtime_config)
        self.package.contexts.append(context)
        return context


class Context:
    def __init__(self, engine: Engine, config: Any) -> None:
        self.engine, self.package, self.config = engine, engine.package, config
        self.memory: DeviceArray | None = None
        self.profile: int | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.runs = 0

    def set_device_memory(self, memory: int, size: int) -> None:
        assert type(memory) is int
        assert type(size) is int
        assert size >= ACTIVATION_BYTES
        assert self.config.strategy == "ours"
        self.memory = DeviceArray(address=memory, shape=(size,), dtype=np.dtype(np.uint8))

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.package.device._streams[stream_handle]
        self.profile = profile_index
        return not self.package.failing("set_optimization_profile_async", self.engine.logger)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert type(shape) is tuple
        fewest, _, most = self.package.slices
        if not fewest <= shape[0] <= most or self.engine.tensors[name][0] != "INPUT":
            told = f"{name} takes no {shape}"
            self.engine.logger.log(ILogger.ERROR, told)
            return False
        self.shapes[name] = shape
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert type(memory) is int
        self.addresses[name] = memory
        return name in self.engine.tensors

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self.package.failing("execute_async_v3", self.engine.logger):
            return False
        assert self.profile == 0
        shapes, arrays = dict(self.shapes), {}
        slices = shapes[next(iter(shapes))][0]
        for name, (_, _, shape) in self.engine.tensors.items():
            arrays[name] = DeviceArray(
                address=self.addresses[name], shape=(slices, *shape[1:]), dtype=np.dtype(np.float32)
            )
        self.runs += 1

        def compute() -> None:
            host_view(self.memory)[:] = 0xAB
            inputs = {name: host_view(arrays[name]) for name in shapes}
            outputs = [name for name in arrays if name not in shapes]
            spoilt = self.shapes != shapes
            for name, values in zip(outputs, self.engine.session.run(outputs, inputs), strict=True):
                np.copyto(host_view(arrays[name]), np.nan if spoilt or self.package.spoils else values)

        self.package.device.call(self.package.device._streams[stream_handle], compute)
        return True


class RtxContext(Context):
    def is_stream_capturable(self, stream: int) -> bool:
        self.package.device._streams[stream]
        return self.package.capturable
