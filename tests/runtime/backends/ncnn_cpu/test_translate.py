"""What the operators become in ncnn, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.bundles import edit_network, write_bundle
from support.operator_networks import GEMM, KEEP, NEAREST, NETWORKS, PLAIN, model, normal

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.ncnn_cpu.engine import open_engine
from ctpdeploy.runtime.backends.ncnn_cpu.network import Network
from ctpdeploy.runtime.backends.ncnn_cpu.translate import translate
from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph


def test_relu_and_affine_maps_join_the_convolution_before_them():
    kinds = [
        layer.kind
        for layer in translate(read_graph(model(NETWORKS["convolution and ReLU"]).SerializeToString())).layers
    ]
    assert kinds == ["Input", "Convolution", "Convolution"]
    kinds = [
        layer.kind for layer in translate(read_graph(model(NETWORKS["scale and shift"]).SerializeToString())).layers
    ]
    assert kinds.count("ConvolutionDepthWise") == 1
    assert not {"ReLU", "BinaryOp"} & set(kinds)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([("Sin", "x", {})], "the operator Sin"),
        ([("Conv", "x w3 b16", {**PLAIN, "dilations": [2, 2]})], "Conv has dilations"),
        ([("Conv", "x w3 b16", {**PLAIN, "auto_pad": "SAME_UPPER"})], "Conv has auto_pad"),
        ([("Conv", "x w3 b16", {})], "Conv has auto_pad None"),
        ([("Concat", "x x", {"axis": 2})], "Concat has axis 2"),
        ([("Concat", "x x", {"axis": -3})], "Concat has axis -3"),
        ([("Gemm", "x square b6", {**GEMM, "transB": 0})], "Gemm has transB 0"),
        ([("Resize", "x  one", NEAREST)], "Resize has another input 2"),
        ([("ReduceMean", "x channels", KEEP)], r"ReduceMean has the axes \[1\]"),
        ([("ReduceMean", "x rows", KEEP)], r"ReduceMean has the axes \[2\]"),
        ([("ReduceMean", "x row", {"keepdims": 0})], r"ReduceMean has the axes \[3\]"),
        ([("Mul", "x square", {})], "'square' has neither one value nor one for each channel"),
        ([("Relu", "x", {}), ("Conv", "x y0", {**PLAIN, "strides": [1, 1]})], "'y0' are computed"),
    ],
)
def test_what_has_no_translation(nodes: list[tuple[str, str, dict[str, Any]]], reason: str):
    with pytest.raises(ValueError, match=reason):
        translate(read_graph(model(nodes).SerializeToString()))


def cast(network: onnx.ModelProto) -> None:
    network.graph.node.insert(0, helper.make_node("Cast", ["features"], ["half"], to=TensorProto.FLOAT16))


def half_weights(network: onnx.ModelProto) -> None:
    weight = network.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(cast, "the operator Cast"), (half_weights, "'weight' is neither float32, float64 nor int64")],
)
def test_a_bundle_of_another_precision(tmp_path: Path, change: Callable[[onnx.ModelProto], None], reason: str):
    folder = write_bundle(tmp_path / "half.ctpbundle")
    edit_network(folder, change)
    with Bundle.open(folder) as bundle, pytest.raises(BackendError, match=rf"pipeline.onnx, because .*{reason}"):
        open_engine(bundle)


def test_a_grid_that_is_no_multiple_of_sixteen_bytes():
    """ncnn begins each channel at such a multiple, so there is padding between."""
    content = model(NETWORKS["convolution and ReLU"], size=9).SerializeToString()
    x = normal(1, 6, 9, 9)
    (expected,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = Network(translate(read_graph(content)), 1).run({"x": x[0]})["y2"]
    np.testing.assert_allclose(found, expected[0], atol=1e-5 * np.abs(expected).max())
