from types import ModuleType

import pytest
from support.small_networks import INPUTS, OUTPUTS, fp32_network
from support.tensorrt_calls import check_execution_calls
from support.tensorrt_stand_in import RtxStandIn, StandIn

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.driver import probe
from ctpdeploy.runtime.backends.trt import BuildOptions, Target
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.callbacks import collecting_logger
from ctpdeploy.runtime.backends.trt.deserialise import deserialise_engine
from ctpdeploy.runtime.backends.trt.parse import parse


def test_a_real_engine_does_not_open_without_a_driver(trt: ModuleType):
    try:
        probe()
    except BackendError:
        pass
    else:
        pytest.skip("There is a driver.")
    parsed = parse(trt, fp32_network(), inputs=INPUTS, outputs=OUTPUTS)
    engine = build(parsed, BuildOptions(target=Target()), lambda *_: None).engine
    with pytest.raises(BackendError, match=r"tensorrt_rtx .* does not open its engine of 0 MB \(.*cudaError 35"):
        deserialise_engine(trt, engine, collecting_logger(trt))


def test_all_that_runs_an_engine_exists(trt: ModuleType):
    check_execution_calls(trt)
    assert {"LAZY", "EAGER"} <= set(trt.DynamicShapesKernelSpecializationStrategy.__members__)
    assert isinstance(trt.IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy, property)
    assert "stream: typing.SupportsInt) -> bool" in trt.IExecutionContext.is_stream_capturable.__doc__
    assert "buffer: typing_extensions.Buffer) -> tuple" in trt.Runtime.get_engine_validity.__doc__


def test_every_diagnosis_of_the_package_has_its_sentence(trt: ModuleType):
    for name, bit in trt.EngineInvalidityDiagnostics.__members__.items():
        package = RtxStandIn(None, invalid=int(bit))
        kind = OutOfMemoryError if name == "INSUFFICIENT_GPU_MEMORY" else BackendError
        with pytest.raises(kind, match=r"does not open its engine of 0 MB, .*: .*, or take another backend\.$"):
            deserialise_engine(package, b"engine", collecting_logger(package))


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("Error Code 2: OutOfMemory (Requested size was 9 bytes.)", OutOfMemoryError, "for want of memory"),
        ("The engine plan file is not compatible with this version", BackendError, "not compatible with this version"),
    ],
)
def test_a_refusal_is_said_in_its_own_words(said: str, kind: type[BackendError], message: str):
    package = StandIn(None)
    package.fails["deserialize_cuda_engine"] = said
    with pytest.raises(kind, match=rf"tensorrt 10\.16\.1\.11 does not open its engine of 0 MB.*{message}") as caught:
        deserialise_engine(package, b"engine", collecting_logger(package))
    assert type(caught.value) is kind
