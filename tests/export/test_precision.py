"""Half and INT8 are written into the graphs, measured as a GPU rounds, and mixed with float32 as far as limits ask."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ctpdeploy.errors import BackendError, GateError
from ctpdeploy.export.graph import merge_pipeline
from ctpdeploy.export.half import CONVOLUTIONS, to_half, with_rounding
from ctpdeploy.export.int8 import Calibration
from ctpdeploy.export.precision import Graphs, converted, find_mixture, layers_of
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.ort_cpu import session_options
from ctpdeploy.runtime.backends.trt import FLAVOURS, Recipe, Target
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.packages import load
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import prove
from ctpdeploy.runtime.gate.gate import reference_of
from ctpdeploy.runtime.gate.verification import LIMITS, Check, Comparison

ROLES = ("extractor", "generator", "segmenter")


@pytest.fixture(scope="module")
def graphs(bundle_folder: Path) -> dict[str, onnx.ModelProto]:
    return {role: onnx.load(bundle_folder / f"{role}.onnx") for role in ROLES}


@pytest.fixture(scope="module")
def calibration(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    with Bundle.open(bundle_folder) as bundle:
        wiring = {role: tuple(bundle.networks[role].sees) for role in ROLES}
        return Calibration(reference_of(bundle), wiring, tmp_path_factory.mktemp("ranges"))


def two_convolutions() -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """x -> conv -> ReLU -> conv -> y, with weights of which none is a half."""
    generator = np.random.default_rng(1)
    first, second = (generator.normal(size=(4, n, 3, 3)).astype(np.float32) for n in (6, 4))
    nodes = [
        helper.make_node("Conv", ["x", "first.weight"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "second.weight"], ["y"], pads=[1] * 4),
    ]
    edges = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c, 16, 16])] for n, c in (("x", 6), ("y", 4))]
    weights = [numpy_helper.from_array(first, "first.weight"), numpy_helper.from_array(second, "second.weight")]
    graph = helper.make_graph(nodes, "two", *edges, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), first, second


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options())
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16).astype(np.float32)


def convolve(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), padding=1).numpy()


def test_rounding_is_that_of_half_tensors():
    """Against a rounding of each tensor by numpy; without ``with_rounding`` ONNX Runtime rounds weights alone."""
    model, first, second = two_convolutions()
    x = np.random.default_rng(2).normal(size=(2, 6, 16, 16)).astype(np.float32)
    hidden = np.maximum(half(convolve(half(x), half(first))), 0)
    expected = half(convolve(hidden, half(second)))
    converted_model = to_half(model)
    got = run(with_rounding(converted_model), x)
    ulp = np.spacing(np.abs(expected).max().astype(np.float16)).astype(np.float32)
    np.testing.assert_array_equal(got, half(got))
    assert np.abs(got - expected).max() <= 2 * ulp  # sums in another order may round to the neighbour
    assert (got == expected).mean() > 0.5
    unrounded = run(converted_model, x)
    assert (unrounded == half(unrounded)).mean() < 0.01, "ONNX Runtime rounds by itself: with_rounding can go"


def test_a_kept_layer_keeps_its_weights_and_its_input():
    model, _, _ = two_convolutions()
    mixed = to_half(model, keep={"second"})
    kinds = {tensor.name: tensor.data_type for tensor in mixed.graph.initializer}
    assert kinds == {"first.weight/half": TensorProto.FLOAT16, "second.weight": TensorProto.FLOAT}
    x = np.random.default_rng(2).normal(size=(1, 6, 16, 16)).astype(np.float32)
    assert np.abs(run(mixed, x) - run(model, x)).max() < np.abs(run(to_half(model), x) - run(model, x)).max()
    assert to_half(model, keep={"first", "second"}).SerializeToString() == model.SerializeToString()


def test_only_convolutions_and_what_selects_are_half(graphs: Graphs):
    model = to_half(graphs["segmenter"])
    kinds = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    found = Counter(node.op_type for node in model.graph.node if kinds.get(node.output[0]) == TensorProto.FLOAT16)
    assert (found["Conv"], found["ConvTranspose"]) == (19, 4)
    assert set(found) <= {*CONVOLUTIONS, "Relu", "MaxPool", "Concat", "Cast"}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT


def test_a_merged_graph_is_converted_as_its_parts_are(graphs: Graphs, bundle_folder: Path):
    """Its outputs are inputs of other networks too."""
    merged = to_half(onnx.load(bundle_folder / "pipeline.onnx"))
    parts = [to_half(graphs[role]) for role in ROLES]
    halves = [Counter(t.name.split("/", 1)[-1] for t in merged.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    halves += [Counter(t.name for m in parts for t in m.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    assert halves[0] == halves[1]


def test_int8_is_symmetric_per_channel_and_leaves_bias_and_results(graphs: Graphs, calibration: Calibration):
    before = graphs["segmenter"].SerializeToString()
    model = calibration.to_int8("segmenter", graphs["segmenter"], keep={"head"})
    assert graphs["segmenter"].SerializeToString() == before
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert {entry.domain for entry in model.opset_import} == {""}
    quantised = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(not constants[node.input[2]].any() for node in quantised), "a zero point that is not zero"
    assert all(constants[node.input[2]].dtype == np.int8 for node in quantised)
    makers = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type in CONVOLUTIONS]
    for node in convolutions:
        data, weight = (makers.get(name) for name in node.input[:2])
        if node.input[1] == "head.weight":
            assert weight is None
            continue
        assert data is not None
        assert weight is not None
        assert (data.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert constants[weight.input[1]].ndim == 1, "one scale for all channels"
        assert node.input[2] in constants
        assert constants[node.input[2]].dtype == np.float32
    takers = {name: node.op_type for node in model.graph.node for name in node.input}
    assert all(takers.get(node.output[0]) != "QuantizeLinear" for node in convolutions if "head" in node.input[1])


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_layer_that_is_kept_everywhere_is_float32(graphs: Graphs, calibration: Calibration, precision: str):
    layers = layers_of(graphs)
    assert len(layers) == 69
    assert len(set(layers)) == 69
    given = calibration if precision == "int8" else None
    for role, model in converted(graphs, layers, given).items():
        assert [n.op_type for n in model.graph.node] == [n.op_type for n in graphs[role].graph.node]


@pytest.mark.parametrize(
    ("precision", "kind"), [("fp32", "FLOAT"), ("fp16", "HALF"), ("int8", "INT8")], ids=["fp32", "fp16", "int8"]
)
def test_tensorrt_rtx_builds_the_merged_graphs_in_their_precision(
    graphs: Graphs, calibration: Calibration, bundle_folder: Path, precision: str, kind: str
):
    """NVIDIA's own parser and builder, which need no GPU; the types of all layers that multiply are those asked for."""
    pytest.importorskip("tensorrt_rtx")
    made = graphs if precision == "fp32" else converted(graphs, (), calibration if precision == "int8" else None)
    with Bundle.open(bundle_folder) as bundle:
        wiring = {role: tuple(bundle.networks[role].sees) for role in ROLES}
        pipeline = bundle.networks["pipeline"]
    merged = merge_pipeline(made, wiring, frames=6)
    network = parse(
        load(FLAVOURS["tensorrt-rtx"]), merged.SerializeToString(), inputs=pipeline.inputs, outputs=pipeline.outputs
    )
    layers = prove(network.network, precision)
    assert layers["CONVOLUTION"] == {kind: 57}
    assert layers["DECONVOLUTION"] == {kind: 12}
    assert set(layers["REDUCE"]) == set(layers["SOFTMAX"]) == {"FLOAT"}
    recipe = Recipe(target=Target(), slices=(1, 2, 4), precision=precision)
    assert len(build(network, recipe, lambda *_: None).engine) > 100_000
    for other in {"fp32", "fp16", "int8"} - {precision}:
        with pytest.raises(BackendError, match=f"The network is not {other}"):
            prove(network.network, other)


def trial(errors: float, limit: float) -> Comparison:
    check = Check(
        tensor="chain", rms_error=errors, max_error=errors, eager_rms_error=1, eager_max_error=1, held=errors <= limit
    )
    return Comparison(
        candidate="onnx fp16",
        limits=LIMITS["fp16"],
        checks=(check,),
        flips=0,
        flips_beyond_rounding=0,
        dice=1.0,
        volume_difference=0.0,
        lesion=1,
    )


class Workshop:
    """Layers that each add their cost to the error, without any graph."""

    def __init__(self, costs: dict[str, float], limit: float) -> None:
        self.costs, self.limit, self.judged = costs, limit, 0

    def convert(self, keep: Collection[str]) -> Graphs:
        return {layer: onnx.ModelProto() for layer in self.costs if layer not in keep}

    def judge(self, graphs: Graphs) -> Comparison:
        self.judged += 1
        return trial(self.cost(graphs), self.limit)

    def cost(self, graphs: Graphs) -> float:
        return sum(self.costs[layer] for layer in graphs)

    def search(self):
        return find_mixture(list(self.costs), self.convert, self.judge, self.cost, lambda *_: None)


def test_as_few_of_the_costliest_layers_as_will_do_stay_in_float32():
    costs = {f"layer{i}": float(cost) for i, cost in enumerate([1, 40, 2, 30, 3, 20, 1, 1, 1, 1])}
    workshop = Workshop(costs, limit=31)
    found = workshop.search()
    assert found.float32_layers == ("layer1", "layer3")
    assert found.layer_errors == costs
    assert set(found.graphs) == set(costs) - {"layer1", "layer3"}
    assert found.trial.failures() == []
    assert workshop.judged <= 5


def test_without_need_nothing_is_searched():
    workshop = Workshop({"a": 1.0, "b": 2.0}, limit=3)
    found = workshop.search()
    assert (found.float32_layers, found.layer_errors, workshop.judged) == ((), {}, 1)


def test_a_precision_that_holds_for_no_layer_is_refused_with_the_figures():
    with pytest.raises(GateError, match=r"not even for a single layer of 3.*onnx fp16 chain has 6 times"):
        Workshop({"a": 1.0, "b": 2.0, "c": 3.0}, limit=0.5).search()
