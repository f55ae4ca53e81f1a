"""TensorRT's own Python bindings, whose libraries are not on the package index, in front of libraries that do nothing.

So the names and signatures of all calls are checked against the real package, and nothing runs.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FACTORIES = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
    *("createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry"),
    *("getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins"),
)

CHECK = """
import tensorrt as trt
from support.tensorrt_calls import check_execution_calls
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES
from ctpdeploy.runtime.backends.trt.packages import load
from ctpdeploy.runtime.backends.trt.callbacks import collecting_logger, progress_monitor
from ctpdeploy.runtime.backends.trt.parse import _strongly_typed, _last_word, parse
from ctpdeploy.runtime.backends.trt.precision import COMPUTE, STATISTICS

assert load(TENSORRT_PACKAGES["tensorrt"]) is trt
calls = {
    trt.Builder: "create_network create_builder_config create_optimization_profile build_serialized_network",
    trt.INetworkDefinition: "num_inputs num_outputs num_layers get_input get_output get_layer",
    trt.OnnxParser: "parse num_errors get_error",
    trt.ParserError: "node_name node_operator code func desc",
    trt.IBuilderConfig: "progress_monitor builder_optimization_level clear_flag create_timing_cache set_timing_cache "
    "get_timing_cache add_optimization_profile profiling_verbosity",
    trt.Runtime: "deserialize_cuda_engine",
    trt.ICudaEngine: "create_engine_inspector",
    trt.EngineInspector: "get_engine_information",
    trt.LayerInformationFormat: "JSON",
    trt.ProfilingVerbosity: "DETAILED",
    trt.IOptimizationProfile: "set_shape",
    trt.ITimingCache: "serialize",
    trt.ILayer: "type num_inputs num_outputs get_input get_output",
    trt.ITensor: "name dtype shape",
    trt.BuilderFlag: "TF32",
}
assert not [(kind, name) for kind, names in calls.items() for name in names.split() if not hasattr(kind, name)]
check_execution_calls(trt)
assert "ignore_mismatch: bool" in trt.IBuilderConfig.set_timing_cache.__doc__
assert "path: str = None" in trt.OnnxParser.parse.__doc__
assert {*COMPUTE, *STATISTICS, "DEQUANTIZE"} <= set(trt.LayerType.__members__)
assert {"FLOAT", "HALF", "INT8", "INT32", "INT64", "BOOL"} <= set(trt.DataType.__members__)
assert (trt.DataType.HALF.name, trt.LayerType.REDUCE.name) == ("HALF", "REDUCE")
assert _last_word(trt.ErrorCode.UNSUPPORTED_NODE) == "UNSUPPORTED_NODE"
assert _strongly_typed(trt) == 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

logger = collecting_logger(trt)
logger.log(trt.ILogger.ERROR, "one\\ntwo")
logger.log(trt.ILogger.WARNING, "three")
assert logger.errors == ["one two"]
seen = []
monitor = progress_monitor(trt, lambda text, share: seen.append(share))
monitor.phase_start("build", None, 2)
assert monitor.step_complete("build", 0)
monitor.phase_finish("build")
assert seen == [0, 0.5, 1]
try:
    parse(trt, b"", inputs={}, outputs={})
except BackendError as error:
    print(error)
"""


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_bindings") is None, reason="needs tensorrt-cu13-bindings")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_all_that_is_called_exists_in_tensorrt(tmp_path: Path):
    bindings = Path(importlib.util.find_spec("tensorrt_bindings").origin).parent
    (tmp_path / "nothing.c").write_text("".join(f"void* {name}(void) {{ return 0; }}\n" for name in FACTORIES))
    needed = re.findall(rb"libnv[a-z_]+\.so\.\d+", next(bindings.glob("tensorrt*.so")).read_bytes())
    for library in {name.decode() for name in needed}:
        options = ["-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", tmp_path / library]
        subprocess.run(["cc", *options, tmp_path / "nothing.c"], check=True)
    (tmp_path / "tensorrt.py").write_text(
        "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
    )
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
    }
    result = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("TensorRT makes no builder")
