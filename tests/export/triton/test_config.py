"""Configurations of the models that Triton serves."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf import text_format
from support.bundles import write_bundle
from support.triton_models import NETWORK, ONNX, TENSORRT, ModelConfig, config_of
from tritonclient.grpc import model_config_pb2

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.export.triton import write_repository
from ctpdeploy.export.triton.config import to_text
from ctpdeploy.runtime import Bundle


def faults(config: ModelConfig, network: onnx.ModelProto) -> list[str]:
    """Where a configuration does not fit a network, or itself."""
    inputs, outputs = (_tensors(values) for values in (network.graph.input, network.graph.output))
    most, warm = config.max_batch_size, {sample.batch_size for sample in config.model_warmup}
    found = {
        "inputs": {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in config.input} != inputs,
        "outputs": {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in config.output} != outputs,
        "batches": most < 1 or not set(config.dynamic_batching.preferred_batch_size) <= set(range(1, most + 1)),
        "queue": config.dynamic_batching.max_queue_delay_microseconds == 0,
        "warm batches": not {1, most, *config.dynamic_batching.preferred_batch_size} <= warm,
    }
    for sample in config.model_warmup:
        tensors = {name: (tensor.data_type, list(tensor.dims)) for name, tensor in sample.inputs.items()}
        filled = all(tensor.zero_data for tensor in sample.inputs.values())
        found["warm-up"] = found.get("warm-up", False) or tensors != inputs or not filled
    return [name for name, wrong in found.items() if wrong]


def _tensors(values: "list[onnx.ValueInfoProto]") -> dict[str, tuple[int, list[int]]]:
    """Type and shape of what follows the free batch axis."""
    types = {onnx.TensorProto.FLOAT: model_config_pb2.TYPE_FP32, onnx.TensorProto.FLOAT16: model_config_pb2.TYPE_FP16}
    assert all(value.type.tensor_type.shape.dim[0].dim_param for value in values)
    return {
        value.name: (
            types[value.type.tensor_type.elem_type],
            [axis.dim_value for axis in value.type.tensor_type.shape.dim][1:],
        )
        for value in values
    }


@pytest.mark.parametrize(("model", "backend"), [(ONNX, "onnxruntime"), (TENSORRT, "tensorrt")])
def test_the_configurations_are_tritons_and_fit_the_network(repository: Path, model: str, backend: str):
    config = config_of(repository, model)
    assert faults(config, onnx.load(repository / NETWORK)) == []
    assert (config.name, config.backend) == (model, backend)
    assert list(config.version_policy.specific.versions) == [1]
    kind = {ONNX: "KIND_AUTO", TENSORRT: "KIND_GPU"}[model]
    assert [group.kind for group in config.instance_group] == [model_config_pb2.ModelInstanceGroup.Kind.Value(kind)]


def test_a_system_without_frames_has_none_to_be_asked_for(tmp_path: Path):
    with Bundle.open(write_bundle(tmp_path / "bundle")) as bundle:
        write_repository(bundle, tmp_path / "models")
    config = config_of(tmp_path / "models")
    assert [tensor.name for tensor in config.input] == ["features"]
    assert [tensor.name for tensor in config.output] == ["probability"]
    assert faults(config, onnx.load(tmp_path / "models" / NETWORK)) == []


def test_onnx_runtime_does_not_round_to_tf32(repository: Path):
    (accelerator,) = config_of(repository).optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == ("cuda", {"use_tf32": "0"})


@pytest.mark.parametrize("model", [ONNX, TENSORRT])
def test_the_server_can_say_where_the_model_is_from(repository: Path, model: str):
    parameters = {key: value.string_value for key, value in config_of(repository, model).parameters.items()}
    assert (
        parameters.items()
        >= {
            "bundle": "small.ctpbundle",
            "bundle_sha256": hashlib.sha256((repository / "bundle.json").read_bytes()).hexdigest(),
            "ctpdeploy": __version__,
            "intended_use": INTENDED_USE,
            "precision": "fp32",
            "system": "dwi_olh",
        }.items()
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c.input[0].dims.pop(), "inputs"),
        (lambda c: c.input[0].dims.insert(0, -1), "inputs"),
        (lambda c: c.input.pop(), "inputs"),
        (lambda c: setattr(c.input[1], "data_type", model_config_pb2.TYPE_FP16), "inputs"),
        (lambda c: setattr(c.output[2], "data_type", model_config_pb2.TYPE_FP64), "outputs"),
        (lambda c: setattr(c.output[0], "name", "features"), "outputs"),
        (lambda c: setattr(c, "max_batch_size", 0), "batches"),
        (lambda c: c.dynamic_batching.preferred_batch_size.append(64), "batches"),
        (lambda c: c.ClearField("dynamic_batching"), "queue"),
        (lambda c: c.ClearField("model_warmup"), "warm batches"),
        (lambda c: c.model_warmup.pop(), "warm batches"),
        (lambda c: c.model_warmup[1].inputs.pop("features"), "warm-up"),
        (lambda c: c.model_warmup[0].inputs["frames"].ClearField("zero_data"), "warm-up"),
        (lambda c: c.model_warmup[2].inputs["frames"].dims.append(1), "warm-up"),
    ],
)
def test_a_configuration_that_does_not_fit_is_noticed(
    repository: Path, change: Callable[[ModelConfig], object], fault: str
):
    config = config_of(repository)
    change(config)
    assert fault in faults(config, onnx.load(repository / NETWORK))


def test_text_survives_quotes_and_other_alphabets():
    text = 'say "hm"\\n\n\tSchädel 頭'
    assert text_format.Parse(to_text({"name": text, "max_batch_size": 3}), ModelConfig()).name == text
