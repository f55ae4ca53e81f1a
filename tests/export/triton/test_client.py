"""The client of a Triton server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import nibabel as nib
import numpy as np
import onnxruntime
import pytest
from support.triton_models import NETWORK, ModelConfig, config_of
from tritonclient.grpc import service_pb2, service_pb2_grpc

from ctpdeploy import INTENDED_USE
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Bundle, Case, Pipeline


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
        named = {"name": "small.ctpbundle", "sha256": bundle.sha256}
    assert report["bundle"] == {**named, "signature": "not checked", "signed_by": None}


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
