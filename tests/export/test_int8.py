"""Graphs in int8."""

import numpy as np
from onnx import numpy_helper

from ctpdeploy.export.half import convolutions_of
from ctpdeploy.export.int8 import Calibration
from ctpdeploy.export.precision import Graphs


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
    convolutions = convolutions_of(model.graph)
    assert len(convolutions) == 23, "and squeeze and excitation as it was"
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
