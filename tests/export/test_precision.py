"""Half and INT8 are written into the graphs, measured as a GPU rounds, and mixed with float32 as far as limits ask."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import onnx
import pytest
from support.bundles import ROLES

from ctpdeploy.errors import BackendError, GateError
from ctpdeploy.export.graph import merge_pipeline
from ctpdeploy.export.int8 import Calibration
from ctpdeploy.export.precision import Graphs, converted, find_mixture, layers_of
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, BuildOptions, Target
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.packages import load
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import prove
from ctpdeploy.runtime.gate.verification import LIMITS, Comparison, TensorError


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
        load(TENSORRT_PACKAGES["tensorrt-rtx"]),
        merged.SerializeToString(),
        inputs=pipeline.inputs,
        outputs=pipeline.outputs,
    )
    layers = prove(network.network, precision)
    columns = Counter({"FLOAT": 10})  # of squeeze and excitation
    assert layers["CONVOLUTION"] == Counter({kind: 57}) + columns
    assert "MATRIX_MULTIPLY" not in layers
    assert layers["DECONVOLUTION"] == {kind: 12}
    assert set(layers["REDUCE"]) == set(layers["SOFTMAX"]) == {"FLOAT"}
    options = BuildOptions(target=Target(), slices=(1, 2, 4), precision=precision)
    assert len(build(network, options, lambda *_: None).engine) > 100_000
    for other in {"fp32", "fp16", "int8"} - {precision}:
        with pytest.raises(BackendError, match=f"The network is not {other}"):
            prove(network.network, other)


def test_tensorrt_rtx_builds_the_merged_graph_for_compute_capability_seven_five(bundle_folder: Path):
    """Where it has no matrix product in float32; the segmenter has had one for squeeze and excitation."""
    pytest.importorskip("tensorrt_rtx")
    with Bundle.open(bundle_folder) as bundle:
        content, pipeline = bundle.network_content("pipeline"), bundle.networks["pipeline"]
    network = parse(load(TENSORRT_PACKAGES["tensorrt-rtx"]), content, inputs=pipeline.inputs, outputs=pipeline.outputs)
    options = BuildOptions(target=Target(capabilities=("7.5",)), slices=(1, 2, 4), precision="fp32")
    assert len(build(network, options, lambda *_: None).engine) > 100_000


def trial(errors: float, limit: float) -> Comparison:
    check = TensorError(
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
