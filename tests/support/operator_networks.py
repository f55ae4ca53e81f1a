"""Networks of a few operators, as the backends that read the graph themselves are tested on."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PLAIN = {"auto_pad": "NOTSET", "dilations": [1, 1], "group": 1}
POINT = {**PLAIN, "strides": [1, 1], "pads": [0, 0, 0, 0]}
POOL = {"auto_pad": "NOTSET", "dilations": [1, 1], "ceil_mode": 0}
GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
NEAREST = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}

random = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return random.normal(size=shape).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


CONSTANTS = {
    "w3": normal(16, 6, 3, 3),
    "w7": normal(8, 6, 7, 7),
    "w1": normal(8, 16, 1, 1),
    "b16": normal(16),
    "b8": normal(8),
    "t2": normal(6, 8, 2, 2),
    "t3": normal(6, 8, 3, 3),
    "square": normal(6, 6),
    "b6": normal(6),
    "v6": np.abs(normal(6)) + 0.5,
    "column": normal(6, 1, 1),
    "column16": normal(16, 1, 1),
    "one": np.float32(0.3).reshape(()),
    "ten": np.float32(10).reshape(()),
    "pixels": whole(2, 3),
    "channels": whole(1),
    "all": whole(1, 2, 3),
    "point": normal(6, 6, 1, 1),
    "row": whole(3),
    "rows": whole(2),
    "first": whole(0),
    "fourth": whole(4),
    "last": np.int64(5).reshape(()),
    "twice": np.array([1, 1, 2, 2], np.float32),
    "square3": normal(6, 6, 3, 3),
}

KEEP = {"keepdims": 1}

NETWORKS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "3x3 convolution": [("Conv", "x w3 b16", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]})],
    "without bias": [("Conv", "x w3", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]})],
    "7x7 convolution of stride 2": [("Conv", "x w7 b8", {**PLAIN, "strides": [2, 2], "pads": [3, 3, 3, 3]})],
    "convolution and ReLU": [
        ("Conv", "x w3 b16", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]}),
        ("Relu", "y0", {}),
        ("Conv", "y1 w1 b8", {**PLAIN, "strides": [1, 1], "pads": [0, 0, 0, 0]}),
    ],
    "a ReLU beside another user": [
        ("Conv", "x w3 b16", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]}),
        ("Relu", "y0", {}),
        ("Sub", "y1 y0", {}),
    ],
    "transposed convolution": [
        ("ConvTranspose", "x t2 b8", {**PLAIN, "strides": [2, 2], "pads": [0, 0, 0, 0], "output_padding": [0, 0]})
    ],
    "overlapping transposed convolution": [
        ("ConvTranspose", "x t3 b8", {**PLAIN, "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})
    ],
    "pooling": [("MaxPool", "x", {**POOL, "kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]})],
    "pooling of less than zero": [
        ("Sub", "x ten", {}),
        ("MaxPool", "y0", {**POOL, "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
    "padded pooling": [("MaxPool", "x", {**POOL, "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})],
    "batch normalisation": [("BatchNormalization", "x b6 b6 b6 v6", {"epsilon": 1e-5})],
    "doubling": [("Resize", "x  twice", NEAREST)],
    "concatenation": [("Relu", "x", {}), ("Concat", "y0 x x", {"axis": 1})],
    "some channels": [("Slice", "x first fourth channels", {})],
    "softmax and one class": [("Softmax", "x", {"axis": 1}), ("Gather", "y0 last", {"axis": 1})],
    "squeeze and excitation": [
        ("ReduceMean", "x pixels", {"keepdims": 0}),
        ("Gemm", "y0 square b6", GEMM),
        ("Relu", "y1", {}),
        ("Sigmoid", "y2", {}),
        ("Unsqueeze", "y3 pixels", {}),
        ("Mul", "x y4", {}),
    ],
    "squeeze and excitation of 1x1 convolutions": [
        ("ReduceMean", "x pixels", KEEP),
        ("Conv", "y0 point b6", POINT),
        ("Relu", "y1", {}),
        ("Conv", "y2 point b6", POINT),
        ("Sigmoid", "y3", {}),
        ("Mul", "x y4", {}),
    ],
    "scale and shift": [("Mul", "x column", {}), ("Add", "y0 column", {}), ("Relu", "y1", {})],
    "scale and shift of two images": [("Mul", "x column", {}), ("Add", "y0 x", {})],
    "statistics of rows first": [
        ("ReduceMean", "x row", KEEP),
        ("ReduceMean", "y0 rows", KEEP),
        ("ReduceMean", "y1 channels", KEEP),
        ("Mul", "column y2", {}),
        ("Sub", "x y3", {}),
    ],
    "mean of a column over all axes but the batch": [
        ("ReduceMean", "x pixels", KEEP),
        ("ReduceMean", "y0 all", KEEP),
        ("Sub", "x y1", {}),
    ],
    "statistics": [
        ("ReduceMean", "x pixels", KEEP),
        ("Sub", "x y0", {}),
        ("Mul", "y1 y1", {}),
        ("ReduceMean", "y2 pixels", KEEP),
        ("ReduceMean", "y3 channels", KEEP),
        ("Mul", "y3 one", {}),
        ("Add", "y5 y4", {}),
        ("Sqrt", "y6", {}),
        ("Div", "column y7", {}),
        ("Mul", "x y8", {}),
        ("Sub", "column y0", {}),
        ("Add", "y9 y10", {}),
        ("Identity", "y11", {}),
    ],
}


def model(nodes: list[tuple[str, str, dict[str, Any]]], size: int = 16) -> onnx.ModelProto:
    """Nodes from ``x`` on, each making ``y0``, ``y1`` and so on; the last is the output."""
    made = [
        helper.make_node(operator, inputs.split(" "), [f"y{i}"], **attributes)
        for i, (operator, inputs, attributes) in enumerate(nodes)
    ]
    used = {name for node in made for name in node.input}
    graph = helper.make_graph(
        made,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6, size, size])],
        [helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in CONSTANTS.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
