from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import pytest
from support.small_networks import CONVOLUTION, INPUTS, OUTPUTS, fp32_network, kernel, node, serialise

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle


def test_the_pipeline_of_a_bundle_is_parsed(trt: ModuleType, bundle_folder: Path):
    bundle = Bundle.open(bundle_folder)
    sealed = bundle.networks[PIPELINE]
    onnx_bytes = bundle.network_file(PIPELINE).read_bytes()
    parsed = parse(trt, onnx_bytes, inputs=sealed.inputs, outputs=sealed.outputs)
    assert parsed.network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert parsed.network.num_layers > 400
    assert parsed.logger.errors == []


def test_an_unsupported_operator_is_named_with_its_node(trt: ModuleType):
    network = serialise([node("Det", "frames", "probability")], {}, output=["N", 6])
    with pytest.raises(
        BackendError, match=r"tensorrt_rtx .* node 'det_probability' with operator Det, UNSUPPORTED_NODE"
    ):
        parse(trt, network, inputs=INPUTS, outputs={"probability": ["N", 6]})


def test_an_operator_of_another_domain_is_named(trt: ModuleType):
    foreign = onnx.helper.make_node("Grow", ["frames"], ["probability"], name="mine", domain="elsewhere")
    network = serialise([foreign], {}, output=["N", 6, 16, 16])
    with pytest.raises(BackendError, match=r"node 'mine' with operator Grow.*Plugin not found"):
        parse(trt, network, inputs=INPUTS, outputs={"probability": ["N", 6, 16, 16]})


def raising(*_: object) -> None:
    raise TypeError("pybind11::init(): factory function returned nullptr")


@pytest.mark.parametrize("factory", [raising, lambda *_: None])
@pytest.mark.parametrize(("name", "what"), [("Builder", "builder"), ("OnnxParser", "parser")])
def test_a_factory_that_fails_is_named(trt: ModuleType, name: str, what: str, factory: Callable[..., None]):
    broken = SimpleNamespace(**{**vars(trt), name: factory})
    with pytest.raises(BackendError, match=f"TensorRT makes no {what}: it gives no reason"):
        parse(broken, fp32_network(), inputs=INPUTS, outputs=OUTPUTS)


@pytest.mark.parametrize("content", [b"", b"\0garbage" * 10, fp32_network()[:200]])
def test_what_is_no_network_is_refused(trt: ModuleType, content: bytes):
    """The parser itself takes some of these for an empty network and says nothing."""
    with pytest.raises(BackendError, match="tensorrt_rtx"):
        parse(trt, content, inputs=INPUTS, outputs=OUTPUTS)


@pytest.mark.parametrize(
    ("inputs", "outputs", "side"),
    [
        ({"frames": ["N", 6, 16, 32]}, OUTPUTS, "inputs"),
        ({"frames": [1, 6, 16, 16]}, OUTPUTS, "inputs"),
        ({**INPUTS, "features": ["N", 5, 16, 16]}, OUTPUTS, "inputs"),
        (INPUTS, {"lesion": ["N", 16, 16]}, "outputs"),
        (INPUTS, {"probability": ["N", 1, 16, 16]}, "outputs"),
    ],
)
def test_another_network_than_the_sealed_one_is_refused(trt: ModuleType, inputs: dict, outputs: dict, side: str):
    with pytest.raises(BackendError, match=f"reads the {side} .* where the bundle has"):
        parse(trt, fp32_network(), inputs=inputs, outputs=outputs)


def test_outputs_in_half_are_refused(trt: ModuleType):
    cast = node("Cast", "m", "probability", to=onnx.TensorProto.FLOAT16)
    nodes = [node("Conv", "frames w", "c", **CONVOLUTION), node("ReduceMean", "c axis", "m", keepdims=0), cast]
    model = onnx.load_from_string(serialise(nodes, {"w": kernel(), "axis": np.array([1])}, output=["N", 16, 16]))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    with pytest.raises(BackendError, match=r"reads the outputs .*HALF"):
        parse(trt, model.SerializeToString(), inputs=INPUTS, outputs=OUTPUTS)


@pytest.mark.parametrize("absolute", [False, True])
def test_weights_outside_the_hashed_file_are_not_read(
    trt: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
):
    """The parser would look for them in the current folder."""
    model = onnx.load_from_string(fp32_network())
    file = tmp_path / "network.onnx"
    onnx.save(model, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    saved = onnx.load(file, load_external_data=False)
    if absolute:
        for tensor in saved.graph.initializer:
            for entry in tensor.external_data:
                entry.value = str(tmp_path / "weights.bin") if entry.key == "location" else entry.value
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match="refuses the network"):
        parse(trt, saved.SerializeToString(), inputs=INPUTS, outputs=OUTPUTS)
