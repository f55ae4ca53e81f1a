"""Graphs merged into one."""

from collections import Counter
from pathlib import Path

import onnx
from onnx import TensorProto
from support.bundles import ROLES

from ctpdeploy.export.half import to_half
from ctpdeploy.export.precision import Graphs


def test_a_merged_graph_is_converted_as_its_parts_are(graphs: Graphs, bundle_folder: Path):
    """Its outputs are inputs of other networks too."""
    merged = to_half(onnx.load(bundle_folder / "pipeline.onnx"))
    parts = [to_half(graphs[role]) for role in ROLES]
    halves = [Counter(t.name.split("/", 1)[-1] for t in merged.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    halves += [Counter(t.name for m in parts for t in m.graph.initializer if t.data_type == TensorProto.FLOAT16)]
    assert halves[0] == halves[1]
