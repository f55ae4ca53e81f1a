"""What is called to run an engine, compared with the real Python bindings of a package, which run nothing for it."""

import re
from types import ModuleType

from support import tensorrt_stand_in

NUMBER = "(int|typing.SupportsInt)"
SIGNATURES = {
    "Runtime": {"deserialize_cuda_engine": r"serialized_engine: (buffer|\S+Buffer)\) -> \S+ICudaEngine"},
    "ICudaEngine": {
        "get_tensor_name": rf"index: {NUMBER}\) -> str",
        "get_tensor_mode": r"name: str\) -> \S+TensorIOMode",
        "get_tensor_dtype": r"name: str\) -> \S+DataType",
        "get_tensor_shape": r"name: str\) -> \S+Dims",
        "get_tensor_profile_shape": rf"name: str, profile_index: {NUMBER}\) -> [Ll]ist\[\S+Dims\]",
        "get_device_memory_size_for_profile_v2": rf"profile_index: {NUMBER}\) -> int",
        "create_runtime_config": r"\) -> \S+IRuntimeConfig",
        "create_execution_context": r"runtime_config: \S+IRuntimeConfig = None\) -> \S+IExecutionContext",
    },
    "IRuntimeConfig": {"set_execution_context_allocation_strategy": r"strategy: \S+ExecutionContextAllocationStrategy"},
    "IExecutionContext": {
        "set_device_memory": rf"memory: {NUMBER}, size: {NUMBER}\) -> None",
        "set_optimization_profile_async": rf"profile_index: {NUMBER}, stream_handle: {NUMBER}\) -> bool",
        "set_input_shape": r"name: str, shape: tuple\) -> bool",
        "set_tensor_address": rf"name: str, memory: {NUMBER}\) -> bool",
        "execute_async_v3": rf"stream_handle: {NUMBER}\) -> bool",
    },
}
STAND_INS = {
    "Runtime": tensorrt_stand_in.Runtime,
    "ICudaEngine": tensorrt_stand_in.Engine,
    "IExecutionContext": tensorrt_stand_in.Context,
}


def check_execution_calls(trt: ModuleType) -> None:
    """Names and signatures, and that the stand-in has no other methods."""
    assert {"INPUT", "OUTPUT"} <= set(trt.TensorIOMode.__members__)
    assert "USER_MANAGED" in trt.ExecutionContextAllocationStrategy.__members__
    assert isinstance(trt.ICudaEngine.num_io_tensors, property)
    for kind, signatures in SIGNATURES.items():
        for name, signature in signatures.items():
            told = getattr(getattr(trt, kind), name).__doc__
            assert re.search(signature, told), told
    for kind, stand_in in STAND_INS.items():
        assert not [name for name in vars(stand_in) if name[0] != "_" and not hasattr(getattr(trt, kind), name)]
