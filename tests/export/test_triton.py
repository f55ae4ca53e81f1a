"""The repository for Triton, held against Triton's own definitions: of a configuration, and of its protocol."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import nibabel as nib
import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from support.bundles import write_bundle
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.errors import ExitCode, InputError, UsageError
from ctpdeploy.export.triton import write_repository
from ctpdeploy.export.triton.config import to_text
from ctpdeploy.runtime import Bundle, Case, Pipeline

ModelConfig = model_config_pb2.ModelConfig
ONNX, TENSORRT = "ctp_pipeline_onnx", "ctp_pipeline_tensorrt"
NETWORK = f"{ONNX}/1/model.onnx"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("served") / "models"
    with Bundle.open(bundle_folder) as bundle:
        assert write_repository(bundle, out) == (ONNX, TENSORRT)
    return out


def config_of(repository: Path, model: str = ONNX) -> ModelConfig:
    """A configuration as Triton reads it, which refuses fields and values that it does not know."""
    file = repository / (f"{model}/config.pbtxt" if model == ONNX else f"{model}.pbtxt")
    return text_format.Parse(file.read_text(encoding="utf-8"), ModelConfig())


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


# --- the repository


def test_a_server_finds_one_folder_a_model_and_nothing_that_does_not_load(repository: Path, bundle_folder: Path):
    assert [path.name for path in repository.iterdir() if path.is_dir()] == [ONNX]
    assert sorted(path.name for path in repository.iterdir() if path.is_file()) == [
        "README.md", "build_plan.sh", "bundle.json", "client.py", f"{TENSORRT}.pbtxt", "verification.json"
    ]  # fmt: skip
    for name, source in {NETWORK: "pipeline.onnx", "bundle.json": "bundle.json"}.items():
        assert (repository / name).read_bytes() == (bundle_folder / source).read_bytes()


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


def test_the_readme_has_no_gaps_and_says_what_it_is_for(repository: Path):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert "@" not in readme
    assert INTENDED_USE in readme
    assert "| input | `frames` | `(N, 6, 64, 64)` |" in readme
    assert "| output | `probability` | `(N, 64, 64)` |" in readme


def test_an_existing_folder_and_a_damaged_bundle_are_refused(tmp_path: Path):
    (tmp_path / "there").mkdir()
    with Bundle.open(write_bundle(tmp_path / "bundle")) as bundle:
        with pytest.raises(UsageError, match="exists already"):
            write_repository(bundle, tmp_path / "there")
        (tmp_path / "bundle" / "pipeline.onnx").write_bytes(b"another network")
        with pytest.raises(InputError, match="not the file that was sealed"):
            write_repository(bundle, tmp_path / "models")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "there"]


# --- the plan


@pytest.fixture
def copied(tmp_path: Path, repository: Path) -> Path:
    return shutil.copytree(repository, tmp_path / "models")


def build_plan(repository: Path, trtexec: str) -> subprocess.CompletedProcess[str]:
    """Run ``build_plan.sh`` with a trtexec of a few lines."""
    tools = repository.with_name("tools")
    tools.mkdir()
    (tools / "trtexec").write_text(f"#!/bin/sh\n{trtexec}\n")
    (tools / "trtexec").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", repository / "build_plan.sh"], env=environment, capture_output=True, text=True, check=False
    )


needs_sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="a command of Linux")
SAVE = 'for word; do case $word in --saveEngine=*) echo plan > "${word#*=}";; esac; done; printf "%s\\n" "$@" > ../told'


@needs_sha256sum
def test_the_script_builds_a_model_that_the_configuration_fits(copied: Path):
    result = build_plan(copied, SAVE)
    assert result.returncode == 0, result.stderr
    made = copied / TENSORRT
    assert (made / "1/model.plan").read_text() == "plan\n"
    assert (made / "config.pbtxt").read_bytes() == (copied / f"{TENSORRT}.pbtxt").read_bytes()
    assert not (copied / f"{TENSORRT}.plan").exists()
    words = (copied / "../told").read_text().split()
    assert {"--noTF32", "--stronglyTyped"} <= set(words)
    told = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
    assert told["onnx"] == NETWORK
    config = config_of(copied, TENSORRT)
    for bound, slices in {"min": 1, "opt": 8, "max": config.max_batch_size}.items():
        shapes = dict(one.split(":") for one in told[f"{bound}Shapes"].split(","))
        assert shapes == {tensor.name: "x".join(map(str, [slices, *tensor.dims])) for tensor in config.input}


@needs_sha256sum
@pytest.mark.parametrize(
    ("spoil", "trtexec", "code", "words"),
    [
        (lambda _: None, "echo half > ctp_pipeline_tensorrt.plan; exit 1", 1, ""),
        (lambda folder: (folder / NETWORK).write_bytes(b"another"), SAVE, 4, "not the network of the bundle"),
        (lambda folder: (folder / TENSORRT).mkdir(), SAVE, 2, "there already"),
    ],
    ids=["trtexec fails", "network", "there"],
)
def test_a_failed_build_leaves_no_model(
    copied: Path, spoil: Callable[[Path], object], trtexec: str, code: int, words: str
):
    spoil(copied)
    result = build_plan(copied, trtexec)
    assert result.returncode == code
    assert words in result.stderr
    assert not (copied / TENSORRT / "config.pbtxt").exists()
    assert not (copied / f"{TENSORRT}.plan").exists()


# --- the client


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """What a client sees of Triton: its protocol, one model as configured, and its refusals; in ONNX Runtime."""

    def __init__(self, config: ModelConfig, network: Path) -> None:
        self.config, self.batches = config, list[int]()
        self.session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])

    def ServerMetadata(self, request: object, context: object):  # noqa: N802, ARG002
        return service_pb2.ServerMetadataResponse(name="triton", version="0.0")

    def ModelConfig(self, request: service_pb2.ModelConfigRequest, context: grpc.ServicerContext):  # noqa: N802
        if request.name != self.config.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")
        return service_pb2.ModelConfigResponse(config=self.config)

    def ModelInfer(self, request: service_pb2.ModelInferRequest, context: grpc.ServicerContext):  # noqa: N802
        told = {tensor.name: (tensor.datatype, list(tensor.shape[1:])) for tensor in request.inputs}
        if told != {tensor.name: ("FP32", list(tensor.dims)) for tensor in self.config.input}:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unexpected inputs {told}")
        self.batches.append(request.inputs[0].shape[0])
        if self.batches[-1] > self.config.max_batch_size:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "batch-size must be <= max_batch_size")
        feeds = {
            tensor.name: np.frombuffer(raw, np.float32).reshape(tensor.shape)
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        names = [tensor.name for tensor in self.config.output]
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for name, array in zip(names, self.session.run(names, feeds), strict=True):
            answer.outputs.add(name=name, datatype="FP32", shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer


@contextmanager
def serving(servicer: Server) -> Iterator[str]:
    """Host and port of a server on this machine."""
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def ask(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, repository / "client.py", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_client_finds_what_the_workstation_finds(
    tmp_path: Path, repository: Path, bundle_folder: Path, phantom_folder: Path, phantom_case: Case
):
    config = config_of(repository)
    config.max_batch_size = 1  # less than the case has slices
    servicer = Server(config, repository / NETWORK)
    with serving(servicer) as url:
        result = ask(repository, phantom_folder / "case_1", "--url", url, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert INTENDED_USE in result.stdout
    assert servicer.batches == [1, 1]
    expected = Pipeline.open(bundle_folder, "ort-cpu").predict(phantom_case)
    assert expected.mask.any()
    mask, probability = (
        np.asarray(nib.load(tmp_path / f"case_1/sub-case1_desc-lesion_{kind}.nii.gz").dataobj)
        for kind in ("mask", "probseg")
    )
    np.testing.assert_array_equal(mask, phantom_case.geometry.to_source(expected.mask.astype(np.uint8)))
    np.testing.assert_array_equal(probability, phantom_case.geometry.to_source(expected.probability))
    report = json.loads((tmp_path / "case_1/report.json").read_text())
    assert report["engine"]["backend"] == "triton-onnxruntime"
    with Bundle.open(bundle_folder) as bundle:
        assert report["bundle"] == {"name": "small.ctpbundle", "sha256": bundle.sha256}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: setattr(c.parameters["bundle_sha256"], "string_value", "0" * 64), "another bundle"),
        (lambda c: setattr(c, "name", "ctp_pipeline"), "unknown model"),
        (lambda c: c.input[0].dims.pop(), "unexpected inputs"),
    ],
)
def test_another_server_is_refused(
    tmp_path: Path, repository: Path, phantom_folder: Path, change: Callable[[ModelConfig], object], words: str
):
    config = config_of(repository)
    change(config)
    with serving(Server(config, repository / NETWORK)) as url:
        result = ask(repository, phantom_folder / "case_1", "--url", url, "--out", tmp_path / "out")
    assert result.returncode == ExitCode.BACKEND
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, repository: Path, phantom_folder: Path):
    result = ask(repository, phantom_folder / "case_1", "--url", "127.0.0.1:1", "--out", tmp_path / "out")
    assert result.returncode == ExitCode.BACKEND
    assert "127.0.0.1:1 does not serve ctp_pipeline_onnx" in result.stderr
    assert "README.md" in result.stderr
    assert not (tmp_path / "out").exists()
