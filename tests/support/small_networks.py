"""ONNX networks of a few nodes in several precisions, as tests of engine builders need them."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUTS = {"frames": ["N", 6, 16, 16]}
OUTPUTS = {"probability": ["N", 16, 16]}


def serialise(nodes: Sequence[onnx.NodeProto], weights: dict[str, np.ndarray], *, output: Sequence[int | str]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, INPUTS["frames"])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("elsewhere", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def node(operator: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name=f"{operator.lower()}_{output}", **attributes)


def kernel(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 6, 3, 3)).astype(np.float32)


CONVOLUTION = {"pads": [1, 1, 1, 1]}
AXIS = {"axis": np.array([1])}


def fp32_network(seed: int = 0) -> bytes:
    nodes = [node("Conv", "frames w", "c", **CONVOLUTION), node("ReduceMean", "c axis", "probability", keepdims=0)]
    return serialise(nodes, {"w": kernel(seed), **AXIS}, output=OUTPUTS["probability"])


def fp16_network(*, reduce_in_half: bool = False) -> bytes:
    """A convolution in half, and a mean in float32 or in half."""
    half, single = {"to": TensorProto.FLOAT16}, {"to": TensorProto.FLOAT}
    mean = {"keepdims": 0}
    tail = (
        [node("ReduceMean", "c axis", "m", **mean), node("Cast", "m", "probability", **single)]
        if reduce_in_half
        else [node("Cast", "c", "s", **single), node("ReduceMean", "s axis", "probability", **mean)]
    )
    nodes = [node("Cast", "frames", "h", **half), node("Conv", "h w", "c", **CONVOLUTION), *tail]
    return serialise(nodes, {"w": kernel().astype(np.float16), **AXIS}, output=OUTPUTS["probability"])


def int8_network(*, weights_too: bool = True) -> bytes:
    """A convolution between QuantizeLinear and DequantizeLinear, with weights in INT8 or in float32."""
    quantised = {"wq": np.ones((4, 6, 3, 3), np.int8)} if weights_too else {"wd": kernel()}
    nodes = [
        node("QuantizeLinear", "frames scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "d"),
        *([node("DequantizeLinear", "wq scale zero", "wd")] if weights_too else []),
        node("Conv", "d wd", "c", **CONVOLUTION),
        node("ReduceMean", "c axis", "probability", keepdims=0),
    ]
    constants = {"scale": np.float32(0.05).reshape(()), "zero": np.int8(0).reshape(())}
    return serialise(nodes, {**quantised, **constants, **AXIS}, output=OUTPUTS["probability"])


def half_quantised_product() -> bytes:
    """A matrix product of INT8 data with float32 weights, which are an operand like the data."""
    nodes = [
        node("QuantizeLinear", "frames scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "d"),
        node("MatMul", "d w", "m"),
        node("ReduceMean", "m axis", "probability", keepdims=0),
    ]
    constants = {"scale": np.float32(0.05).reshape(()), "zero": np.int8(0).reshape(()), "w": np.eye(16, dtype="f4")}
    return serialise(nodes, {**constants, **AXIS}, output=OUTPUTS["probability"])
