"""Graphs merged into one."""

from collections import Counter
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, numpy_helper
from support.bundles import ROLES

from ctpdeploy.export.half import to_half
from ctpdeploy.export.precision import Graphs


@pytest.mark.parametrize("name", [*ROLES, "pipeline"])
def test_no_operator_mixes_slices_or_is_a_matrix_product(bundle_folder: Path, name: str):
    """ONNX Runtime's mean over axis 1 alone depends on the batch; TensorRT-RTX has no Gemm in float32 for SM75."""
    graph = onnx.load(bundle_folder / f"{name}.onnx").graph
    assert not {"Gemm", "MatMul"} & {node.op_type for node in graph.node}
    constants = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in graph.initializer}
    axes = {tuple(constants[node.input[1]]) for node in graph.node if node.op_type == "ReduceMean"}
    assert axes == ({(2,), (3,), (2, 3), (1, 2, 3)} if name in ("segmenter", "pipeline") else set())


def test_a_merged_graph_is_converted_as_its_parts_are(graphs: Graphs, bundle_folder: Path):
    """Its outputs are inputs of other networks too."""
    merged = to_half(onnx.load(bundle_folder / "pipeline.onnx"))
    parts = [to_half(graphs[role]) for role in ROLES]
    halves = [Counter(t.name.split("/", 1)[-1] for t in merged.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    halves += [Counter(t.name for m in parts for t in m.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    assert halves[0] == halves[1]
