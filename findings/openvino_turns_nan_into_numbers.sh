#!/usr/bin/env bash
# OpenVINO's processor plugin turns NaN into ordinary numbers in Relu, Clip and MaxPool.
#
# Packages  openvino==2026.4.1, beside onnxruntime==1.32.0; onnx==1.23.2 writes the graphs. Python 3.11, AVX2.
# Guess     An operator of ONNX hands a NaN on, as ONNX Runtime does, so that whoever looks at the last output of a
#           network sees that something went wrong inside.
# Seen      One NaN among ones. After ONNX Runtime: Relu 1 NaN, Clip 1, MaxPool 1, Sigmoid 1, Softmax over its row 4.
#           After OpenVINO: Relu 0 (it is 0.0), Clip 0 (the least float32), MaxPool 0 (1.0), Sigmoid 1, Softmax 1: the
#           rest of the row is 0.25 and 0.0. In a network that ends in a softmax after Relu and pooling no trace is left.
# So        A check for NaN behind a whole network is no check with this plugin: look between its parts.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$work/seen.py" <<'PY'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

SEEN = {"Relu": (1, 0), "Clip": (1, 0), "MaxPool": (1, 0), "Sigmoid": (1, 1), "Softmax": (4, 1)}
ATTRIBUTES = {"MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]}, "Softmax": {"axis": 3}}


def graph(operator: str) -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node(operator, ["x"], ["y"], **ATTRIBUTES.get(operator, {}))
    model = helper.make_model(
        helper.make_graph([node], operator, [value], [result]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    return model.SerializeToString()


image = np.ones((1, 1, 4, 4), np.float32)
image[0, 0, 1, 1] = np.nan
found = {}
for operator in SEEN:
    content = graph(operator)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(content, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = session.run(None, {"x": image})[0], compiled(image)[0]
    found[operator] = tuple(int(np.isnan(output).sum()) for output in outputs)
    print(f"{operator:8} NaN after ONNX Runtime {found[operator][0]}, after OpenVINO {found[operator][1]}")
assert found == SEEN, f"it has changed: {found}"
PY
"$work/venv/bin/python" "$work/seen.py"
