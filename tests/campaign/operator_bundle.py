"""A bundle of a network with every operator that exported ones have, small enough to be opened hundreds of times.

Its weights are random, and its reference is NumPy's float64: nothing is trained.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from support import bundles
from support.operator_networks import GEMM, KEEP, NEAREST, PLAIN, POOL, whole

from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import evaluate
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.gate.reference import CHAIN, Reference
from ctpdeploy.runtime.gate.reference import FILE as REFERENCE

SIZE = 32
OPSET = 20
SLICES = 2
YARDSTICK = 10.0
"""Of the error that a backend may have, in units of NumPy's: the network is shallow, and NumPy's sums are exact."""

Step = tuple[str, str, str, dict[str, object]]
"""Operator, inputs, output, attributes."""

SAME = {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}

STEPS: tuple[Step, ...] = (
    ("Conv", "features w3 b8", "first", SAME),
    # statistics of pixels and of channels, and with them a scale and a shift: Switchable Normalization
    ("ReduceMean", "first row", "row_means", KEEP),
    ("ReduceMean", "row_means rows", "means", KEEP),
    ("Mul", "first first", "square", {}),
    ("ReduceMean", "square row", "row_squares", KEEP),
    ("ReduceMean", "row_squares rows", "squares", KEEP),
    ("Mul", "means means", "means_squared", {}),
    ("Sub", "squares means_squared", "variances", {}),
    ("ReduceMean", "variances channels", "variance", KEEP),
    ("Add", "variances variance", "both", {}),
    ("Add", "both small", "above_zero", {}),
    ("Sqrt", "above_zero", "deviation", {}),
    ("Div", "column deviation", "scale", {}),
    ("Mul", "means scale", "shifted", {}),
    ("Sub", "column shifted", "shift", {}),
    ("Mul", "first scale", "scaled", {}),
    ("Add", "scaled shift", "normal", {}),
    ("Relu", "normal", "skip", {}),
    ("MaxPool", "skip", "pooled", {**POOL, "kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}),
    ("Conv", "pooled w16 b16", "deep", {**SAME}),
    ("BatchNormalization", "deep b16 b16 b16 v16", "deeper", {"epsilon": 1e-5}),
    ("Relu", "deeper", "deepest", {}),
    # Squeeze and Excitation
    ("ReduceMean", "deepest pixels", "squeezed", {"keepdims": 0}),
    ("Gemm", "squeezed square16 b16", "mixed", GEMM),
    ("Sigmoid", "mixed", "gates", {}),
    ("Unsqueeze", "gates pixels", "column_of_gates", {}),
    ("Mul", "deepest column_of_gates", "excited", {}),
    ("ConvTranspose", "excited t2 b8", "up", {**PLAIN, "strides": [2, 2], "pads": [0] * 4, "output_padding": [0, 0]}),
    ("Resize", "pooled  twice", "doubled", NEAREST),
    ("Concat", "up skip doubled", "all", {"axis": 1}),
    ("Slice", "all zero twenty channels", "some", {}),
    ("Identity", "some", "same", {}),
    ("Conv", "same w2 b2", "logits", {**PLAIN, "strides": [1, 1], "pads": [0] * 4, "kernel_shape": [1, 1]}),
)
LAST: tuple[Step, ...] = (
    ("Softmax", "logits", "classes", {"axis": 1}),
    ("Gather", "classes lesion", "probability", {"axis": 1}),
)


def constants() -> dict[str, np.ndarray]:
    """By name; weights are random."""
    rng = np.random.default_rng(6)

    def normal(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)

    return {
        "w3": normal(8, 5, 3, 3),
        "b8": normal(8),
        "w16": normal(16, 8, 3, 3),
        "b16": normal(16),
        "v16": np.abs(normal(16)) + np.float32(0.5),
        "column": normal(8, 1, 1),
        "square16": normal(16, 16),
        "t2": normal(16, 8, 2, 2),
        "w2": 4 * normal(2, 20, 1, 1),
        "b2": np.array([1.5, 0], np.float32),
        "row": whole(3),
        "rows": whole(2),
        "channels": whole(1),
        "pixels": whole(2, 3),
        "zero": whole(0),
        "twenty": whole(20),
        "lesion": np.int64(1).reshape(()),
        "small": np.float32(1e-3).reshape(()),
        "twice": np.array([1, 1, 2, 2], np.float32),
    }


def write_operator_bundle(folder: Path) -> Path:
    """The bundle, sealed."""
    folder.mkdir(parents=True)
    sides = {"segmenter": {"logits": ["N", 2, SIZE, SIZE]}, PIPELINE: {"probability": ["N", SIZE, SIZE]}}
    onnx.save(_model(STEPS, sides["segmenter"]), folder / "segmenter.onnx")
    onnx.save(_model((*STEPS, *LAST), sides[PIPELINE]), folder / f"{PIPELINE}.onnx")
    _reference(folder).save(folder / REFERENCE)
    bundles.seal_segmenter(folder, size=SIZE, parameters=1, nodes=len(STEPS), opset=OPSET)
    return folder


def _node(step: Step) -> NodeProto:
    operator, inputs, output, attributes = step
    return helper.make_node(operator, inputs.split(" "), [output], name=output, **attributes)


def _model(steps: tuple[Step, ...], outputs: dict[str, list[int | str]]) -> onnx.ModelProto:
    nodes = [_node(step) for step in steps]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "network",
        [bundles.tensor("features", ["N", 5, SIZE, SIZE])],
        [bundles.tensor(name, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants().items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _reference(folder: Path) -> Reference:
    rng = np.random.default_rng(7)
    frames, features = (rng.random((SLICES, n, SIZE, SIZE), dtype=np.float32) for n in (6, 5))

    def found(dtype: type[np.floating]) -> dict[str, np.ndarray]:
        of_each = []
        for i in range(SLICES):
            slices = {"features": features[i : i + 1]}
            graphs = {name: read_graph((folder / f"{name}.onnx").read_bytes()) for name in ("segmenter", PIPELINE)}
            logits = evaluate(graphs["segmenter"], slices, dtype)["logits"]
            of_each.append((logits, evaluate(graphs[PIPELINE], slices, dtype)["probability"]))
        segmenter, chain = (np.concatenate(arrays) for arrays in zip(*of_each, strict=True))
        return {"segmenter": segmenter, CHAIN: chain}

    outputs, single = found(np.float64), found(np.float32)
    axes = {"segmenter": (1, 2, 3), CHAIN: (1, 2)}
    errors = {name: YARDSTICK * np.abs(single[name] - outputs[name]) for name in outputs}
    eager = {
        name: np.stack([np.sqrt((error**2).mean(axes[name])), error.max(axes[name])], axis=1)
        for name, error in errors.items()
    }
    return Reference(
        frames=frames,
        features=features,
        outputs=outputs,
        eager=eager,
        eager_flips=np.zeros(SLICES, dtype=np.int64),
    )
