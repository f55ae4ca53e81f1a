"""What can be wrong with a bundle whose seal is right: each mutation changes a network, its manifest or its reference.

A mutation gets an ONNX model, the content of ``bundle.json`` or the arrays of the reference, and a generator, and
changes it in place. Whoever does that with intent seals it again, and so it is: no hash tells.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

Rng = np.random.Generator
GraphMutation = Callable[[onnx.ModelProto, Rng], None]
ManifestMutation = Callable[[dict[str, Any], Rng], None]
ReferenceMutation = Callable[[dict[str, np.ndarray], Rng], None]

OPERATORS = (
    *("Add", "Sub", "Mul", "Div", "Relu", "Sigmoid", "Sqrt", "Identity", "Softmax", "Concat", "MaxPool", "Conv"),
    *("ConvTranspose", "Gemm", "Gather", "ReduceMean", "Unsqueeze", "Resize", "Slice", "BatchNormalization"),
    *("Exp", "Transpose", "Flatten", "GlobalAveragePool", "MatMul", "AveragePool", "InstanceNormalization", "Nothing"),
)
NUMBERS = (-(2**63), -(2**31), -3, -1, 0, 1, 2, 3, 4, 5, 7, 16, 2**31 - 1, 2**31, 2**63 - 1)
"""Of an attribute or an axis."""
MODERATE = (-3, -2, -1, 0, 1, 2, 3, 4, 5, 7)
TEXTS = ("", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "linear", "x" * 300, "\n\x1b[2J")
ATTRIBUTES = (
    *(
        "strides",
        "pads",
        "kernel_shape",
        "group",
        "dilations",
        "axis",
        "axes",
        "keepdims",
        "output_padding",
        "auto_pad",
    ),
    *("ceil_mode", "epsilon", "alpha", "beta", "transA", "transB", "perm", "output_shape", "noop_with_empty_axes"),
)


def pick(items: Any, rng: Rng) -> Any:
    """One of some, a thing of a list as it is."""
    items = list(items)
    return items[int(rng.integers(len(items)))]


def node_with(model: onnx.ModelProto, rng: Rng, holds: Callable[[NodeProto], bool] = lambda _: True) -> NodeProto:
    """An operator, kinds first: else most would be those of the normalisation."""
    nodes = [node for node in model.graph.node if holds(node)]
    kind = pick(sorted({node.op_type for node in nodes}), rng)
    return pick([node for node in nodes if node.op_type == kind], rng)


def tensors(model: onnx.ModelProto) -> list[str]:
    """Names of all tensors."""
    graph = model.graph
    made = [name for node in graph.node for name in node.output]
    return [*made, *(value.name for value in graph.input), *(weights.name for weights in graph.initializer)]


# operators


def dropped(model: onnx.ModelProto, rng: Rng) -> None:
    model.graph.node.remove(node_with(model, rng))


def bypassed(model: onnx.ModelProto, rng: Rng) -> None:
    """What read its output reads its first input."""
    node = node_with(model, rng)
    for other in model.graph.node:
        for i, name in enumerate(other.input):
            if name == node.output[0]:
                other.input[i] = node.input[0]


def twice(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng)
    model.graph.node.append(node)
    if rng.random() < 0.5:
        model.graph.node[-1].output[0] = "again"


def exchanged_in_order(model: onnx.ModelProto, rng: Rng) -> None:
    one, other = rng.choice(len(model.graph.node), 2, replace=False)
    nodes = list(model.graph.node)
    nodes[one], nodes[other] = nodes[other], nodes[one]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def reversed_order(model: onnx.ModelProto, _: Rng) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def another_operator(model: onnx.ModelProto, rng: Rng) -> None:
    node_with(model, rng).op_type = pick(OPERATORS, rng)


def of_a_domain(model: onnx.ModelProto, rng: Rng) -> None:
    node_with(model, rng).domain = pick(("com.microsoft", "ai.onnx", "ai.onnx.ml", "mine"), rng)


def more_outputs(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng)
    if rng.random() < 0.5:
        node.output.append("more")
    else:
        del node.output[:]


# inputs of operators


def inputs_of_two_exchanged(model: onnx.ModelProto, rng: Rng) -> None:
    one, other = node_with(model, rng, lambda node: bool(node.input)), node_with(model, rng, lambda n: bool(n.input))
    i, j = int(rng.integers(len(one.input))), int(rng.integers(len(other.input)))
    one.input[i], other.input[j] = other.input[j], one.input[i]


def another_input(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.input))
    node.input[int(rng.integers(len(node.input)))] = pick(tensors(model), rng)


def an_earlier_tensor(model: onnx.ModelProto, rng: Rng) -> None:
    """Another tensor that is there already: an order that can run, of shapes that may not fit."""
    index = int(rng.integers(1, len(model.graph.node)))
    node, before = model.graph.node[index], [earlier.output[0] for earlier in model.graph.node[:index]]
    node.input[0 if rng.random() < 0.7 else int(rng.integers(len(node.input)))] = pick(before, rng)


def inputs_turned(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: len(node.input) > 1)
    names = list(node.input)[::-1]
    node.input[:] = names


def input_renamed(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.input))
    node.input[int(rng.integers(len(node.input)))] = pick(("", "nowhere", "\x1b[31m\n", "y" * 1000), rng)


def input_left_out(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.input))
    del node.input[int(rng.integers(len(node.input)))]


def input_more(model: onnx.ModelProto, rng: Rng) -> None:
    node_with(model, rng).input.append(pick(tensors(model), rng))


def cycle(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.input))
    node.input[0] = node.output[0]


def output_renamed(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng)
    node.output[0] = pick(("", "elsewhere", *tensors(model)), rng)


# attributes


def _attribute_changed(attribute: AttributeProto, numbers: tuple[int, ...], rng: Rng) -> None:
    match attribute.type:
        case AttributeProto.INT:
            attribute.i = pick(numbers, rng)
        case AttributeProto.INTS:
            attribute.ints[int(rng.integers(len(attribute.ints)))] = pick(numbers, rng)
        case AttributeProto.FLOAT:
            attribute.f = pick((-1.0, 0.0, 1e-30, 2.0, 1e30, math.inf, math.nan), rng)
        case AttributeProto.STRING:
            attribute.s = pick(TEXTS, rng).encode()


def attribute_changed(numbers: tuple[int, ...]) -> GraphMutation:
    def mutate(model: onnx.ModelProto, rng: Rng) -> None:
        node = node_with(model, rng, lambda node: bool(node.attribute))
        _attribute_changed(pick(node.attribute, rng), numbers, rng)

    return mutate


def one_attribute(name: str) -> GraphMutation:
    """One of a name changed alike in all its places."""

    def mutate(model: onnx.ModelProto, rng: Rng) -> None:
        has = [(node, one) for node in model.graph.node for one in node.attribute if one.name == name]
        if not has:
            node_with(model, rng).attribute.append(helper.make_attribute(name, [int(pick(MODERATE, rng))] * 2))
            return
        _, attribute = pick(has, rng)
        if attribute.type == AttributeProto.INTS:
            attribute.ints[:] = [pick(MODERATE, rng)] * len(attribute.ints)
        else:
            _attribute_changed(attribute, MODERATE, rng)

    return mutate


def attribute_dropped(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.attribute))
    node.attribute.remove(pick(node.attribute, rng))


def attribute_added(model: onnx.ModelProto, rng: Rng) -> None:
    value = pick((1, 0, -1, [1, 1], [2, 2, 2, 2], 0.5, "SAME_UPPER", [0.5]), rng)
    node_with(model, rng).attribute.append(helper.make_attribute(pick(ATTRIBUTES, rng), value))


def attribute_of_another_type(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: bool(node.attribute))
    old = pick(node.attribute, rng)
    name = old.name
    node.attribute.remove(old)
    node.attribute.append(helper.make_attribute(name, pick((1, 1.0, "1", [1], [1.0]), rng)))


def numbers_of_another_length(model: onnx.ModelProto, rng: Rng) -> None:
    node = node_with(model, rng, lambda node: any(len(one.ints) for one in node.attribute))
    attribute = pick([one for one in node.attribute if len(one.ints)], rng)
    attribute.ints[:] = [1] * int(rng.integers(0, 7))


# weights


def _weights(model: onnx.ModelProto, rng: Rng, holds: Callable[[np.ndarray], bool] = lambda _: True) -> TensorProto:
    everything = list(model.graph.initializer)
    found = [one for one in everything if holds(numpy_helper.to_array(one))] or everything
    axes = pick(sorted({len(one.dims) for one in found}), rng)
    return pick([one for one in found if len(one.dims) == axes], rng)


def weights(
    change: Callable[[np.ndarray, Rng], np.ndarray], holds: Callable[[np.ndarray], bool] = lambda _: True
) -> GraphMutation:
    """Other weights under their name."""

    def mutate(model: onnx.ModelProto, rng: Rng) -> None:
        one = _weights(model, rng, holds)
        changed = np.ascontiguousarray(change(numpy_helper.to_array(one).copy(), rng))
        one.CopyFrom(numpy_helper.from_array(changed, one.name))

    return mutate


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _filled(value: float) -> Callable[[np.ndarray, Rng], np.ndarray]:
    return lambda array, _: np.full_like(array, value)


def _one_value(value: float) -> Callable[[np.ndarray, Rng], np.ndarray]:
    def change(array: np.ndarray, rng: Rng) -> np.ndarray:
        array.flat[int(rng.integers(array.size))] = value
        return array

    return change


def _whole(array: np.ndarray, rng: Rng) -> np.ndarray:
    """Axes, indices."""
    changed = np.atleast_1d(array).astype(np.int64)
    changed.flat[int(rng.integers(changed.size))] = pick(NUMBERS, rng)
    return changed.reshape(array.shape)


def dims_changed(model: onnx.ModelProto, rng: Rng) -> None:
    """Another shape of as many values, or of others."""
    one = _weights(model, rng)
    sizes = [list(one.dims)[::-1], [math.prod(one.dims)], [1, *one.dims], [*one.dims, 1], [*one.dims, 0], [2**40], [-1]]
    one.dims[:] = pick(sizes, rng)


def weights_missing(model: onnx.ModelProto, rng: Rng) -> None:
    model.graph.initializer.remove(_weights(model, rng))


def weights_unused(model: onnx.ModelProto, _: Rng) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3, 3), np.float32), "unused"))


def weights_under_a_name(model: onnx.ModelProto, rng: Rng) -> None:
    """Of an operator's output, an input, or of others."""
    one = _weights(model, rng)
    copy = model.graph.initializer.add()
    copy.CopyFrom(one)
    copy.name = pick(tensors(model), rng)


def weights_as_input(model: onnx.ModelProto, rng: Rng) -> None:
    one = _weights(model, rng)
    model.graph.input.append(helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)))


# the graph and the file


def output_of_another(model: onnx.ModelProto, rng: Rng) -> None:
    """An output made by another operator than before."""
    name = pick([value.name for value in model.graph.output], rng)
    others = [node for node in model.graph.node if name not in node.output]
    for node in model.graph.node:
        if name in node.output:
            node.output[0] = "before"
        node.input[:] = ["before" if of == name else of for of in node.input]
    pick(others, rng).output[0] = name


def graph_value(field: str, change: str) -> GraphMutation:
    """Inputs or outputs of the graph: one less, one more, or one of another name, type or shape."""

    def mutate(model: onnx.ModelProto, rng: Rng) -> None:
        values = getattr(model.graph, field)
        one = pick(values, rng)
        tensor = one.type.tensor_type
        match change:
            case "dropped":
                values.remove(one)
            case "renamed":
                one.name = "another"
            case "more":
                values.append(helper.make_tensor_value_info(pick(tensors(model), rng), TensorProto.FLOAT, ["N", 1]))
            case "type":
                tensor.elem_type = pick((TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64, 0, 99), rng)
            case "shape":
                pick(tensor.shape.dim, rng).dim_value = pick((-1, 0, 1, 2, 63, 65, 2**40), rng)
            case "twice":
                values.append(one)

    return mutate


def opset(model: onnx.ModelProto, rng: Rng) -> None:
    model.opset_import[0].version = pick((0, 1, 7, 12, 17, 19, 21, 26, 10**6), rng)


def opset_of_a_domain(model: onnx.ModelProto, _: Rng) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def ir_version(model: onnx.ModelProto, rng: Rng) -> None:
    model.ir_version = pick((0, 3, 7, 99), rng)


GRAPHS: dict[str, GraphMutation] = {
    "an operator dropped": dropped,
    "an operator bypassed": bypassed,
    "an operator twice": twice,
    "two operators in each other's place": exchanged_in_order,
    "operators in reverse": reversed_order,
    "another operator": another_operator,
    "an operator of a domain": of_a_domain,
    "more outputs, or none": more_outputs,
    "inputs of two operators exchanged": inputs_of_two_exchanged,
    "another input": another_input,
    "an earlier tensor": an_earlier_tensor,
    "inputs turned": inputs_turned,
    "an input renamed": input_renamed,
    "an input left out": input_left_out,
    "an input more": input_more,
    "a cycle": cycle,
    "an output renamed": output_renamed,
    "an attribute": attribute_changed(NUMBERS),
    "an attribute, moderately": attribute_changed(MODERATE),
    **{f"attribute {name}": one_attribute(name) for name in ATTRIBUTES[:9]},
    "an attribute dropped": attribute_dropped,
    "an attribute added": attribute_added,
    "an attribute of another type": attribute_of_another_type,
    "an attribute of another length": numbers_of_another_length,
    "weights transposed": weights(lambda array, _: array.T, lambda array: array.ndim > 1),
    "weights with axes exchanged": weights(lambda array, _: array.swapaxes(0, 1), lambda array: array.ndim > 1),
    "weights flipped": weights(lambda array, _: array[..., ::-1], lambda array: array.ndim > 0),
    "weights flat": weights(lambda array, _: array.ravel()),
    "weights cut": weights(lambda array, _: array[: len(array) // 2], lambda array: array.ndim > 0),
    "weights twice as many": weights(lambda array, _: np.concatenate([array, array]), lambda array: array.ndim > 0),
    "weights of an axis more": weights(lambda array, _: array[None]),
    "weights of none": weights(lambda array, _: array[:0], lambda array: array.ndim > 0),
    "weights zero": weights(_filled(0.0)),
    "weights one": weights(_filled(1.0)),
    "weights below zero": weights(lambda array, _: -array),
    "weights huge": weights(_filled(1e38), _is_float),
    "weights too small": weights(_filled(1e-42), _is_float),
    "weights NaN": weights(_one_value(math.nan), _is_float),
    "weights infinite": weights(_one_value(-math.inf), _is_float),
    "a weight huge": weights(_one_value(3e38), _is_float),
    "weights in double": weights(lambda array, _: array.astype(np.float64), _is_float),
    "weights in half": weights(lambda array, _: array.astype(np.float16), _is_float),
    "weights as whole numbers": weights(lambda array, _: array.astype(np.int64), _is_float),
    "whole numbers as weights": weights(lambda array, _: array.astype(np.float32), lambda array: not _is_float(array)),
    "another axis or index": weights(_whole, lambda array: not _is_float(array)),
    "a shape that is stated": dims_changed,
    "weights missing": weights_missing,
    "weights unused": weights_unused,
    "weights under another's name": weights_under_a_name,
    "weights as an input": weights_as_input,
    "an output made by another": output_of_another,
    **{
        f"{field} of the graph: {change}": graph_value(field, change)
        for field in ("input", "output")
        for change in ("dropped", "renamed", "more", "type", "shape", "twice")
    },
    "another opset": opset,
    "an opset of a domain": opset_of_a_domain,
    "another IR version": ir_version,
}
"""By name; the manifest states then whatever of it is in the file."""


def bytes_changed(content: bytes, rng: Rng) -> bytes:
    """Bytes of a file, wherever."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


def _network(content: dict[str, Any], rng: Rng) -> dict[str, Any]:
    return content["networks"][pick(sorted(content["networks"]), rng)]


def _role_lost(content: dict[str, Any], rng: Rng) -> None:
    """With its file's name among the others', so that the folder holds nothing unknown."""
    role = pick(sorted(content["networks"]), rng)
    lost = content["networks"].pop(role)
    content["files"][lost["file"]] = {"sha256": lost["sha256"], "size": lost["size"]}


def _side(content: dict[str, Any], rng: Rng) -> None:
    network = _network(content, rng)
    shape = pick([*network["inputs"].values(), *network["outputs"].values()], rng)
    shape[int(rng.integers(len(shape)))] = pick((0, 1, 2, 7, 63, 128, "M", 2**40), rng)


def _sizes(content: dict[str, Any], rng: Rng) -> None:
    """Another size in all places, to which the graph is held."""
    size = pick((1, 8, 16, 31, 33, 96, 128), rng)
    content["preprocess"]["slice_shape"] = [size, size]
    for network in content["networks"].values():
        for shape in (*network["inputs"].values(), *network["outputs"].values()):
            shape[-2:] = [size, size]


def _set(path: str, *values: Any) -> ManifestMutation:
    def mutate(content: dict[str, Any], rng: Rng) -> None:
        *way, last = path.split("/")
        for key in way:
            content = content[key]
        content[last] = pick(values, rng)

    return mutate


MANIFESTS: dict[str, ManifestMutation] = {
    "another precision": _set("precision", "fp16", "int8", "fp8", ""),
    "constant statistics": _set("static_norm", True),
    "another system": _set("system", "unet", "nothing", ""),
    "another size of slices": _set("preprocess/slice_shape", [32, 32], [64, 32], [1, 1], [0, 0], [2**20, 2**20]),
    "another size everywhere": _sizes,
    "frames of the preprocessing": _set("preprocess/frames", 0, 1, 5, 7, 10**9),
    "a side of a shape": _side,
    "what a network sees": lambda content, rng: _network(content, rng).update(
        sees=pick(([], ["frames"], ["features", "frames"], ["maps"], ["nothing"], ["pseudo_dwi"]), rng)
    ),
    "a stated opset": lambda content, rng: _network(content, rng).update(opset=pick((0, 7, 19, 21, 10**9), rng)),
    "a network lost": _role_lost,
    "a file's name": lambda content, rng: _network(content, rng).update(
        file=pick(("pipeline.onnx", "extractor.onnx", "../pipeline.onnx", "reference.safetensors"), rng)
    ),
    "counts of a network": lambda content, rng: _network(content, rng).update(
        parameters=pick((-1, 0, 10**30), rng), nodes=pick((-1, 0, 10**30), rng)
    ),
}
"""By name; of ``bundle.json``."""


def _of_one(change: Callable[[np.ndarray, Rng], np.ndarray]) -> ReferenceMutation:
    def mutate(arrays: dict[str, np.ndarray], rng: Rng) -> None:
        name = pick(sorted(arrays), rng)
        arrays[name] = change(arrays[name], rng)

    return mutate


def _lost(arrays: dict[str, np.ndarray], rng: Rng) -> None:
    del arrays[pick(sorted(arrays), rng)]


def _other_sizes(arrays: dict[str, np.ndarray], _: Rng) -> None:
    """All of them smaller: they belong together, and not to the networks."""
    for name, array in arrays.items():
        arrays[name] = array[..., :32, :32] if array.ndim > 2 else array


def _other_channels(arrays: dict[str, np.ndarray], _: Rng) -> None:
    arrays["frames"] = arrays["frames"][:, :-1]


def _no_slices(arrays: dict[str, np.ndarray], _: Rng) -> None:
    for name, array in arrays.items():
        arrays[name] = array[:0]


REFERENCES: dict[str, ReferenceMutation] = {
    "an array lost": _lost,
    "an array cut": _of_one(lambda array, _: array[..., :-1]),
    "an array of another type": _of_one(lambda array, _: array.astype(np.float16)),
    "an array of NaN": _of_one(lambda array, _: np.full_like(array, np.nan) if array.dtype.kind == "f" else array - 1),
    "an array of an axis more": _of_one(lambda array, _: array[None]),
    "an array of nothing": _of_one(lambda array, _: array[:0]),
    "other sizes": _other_sizes,
    "other channels": _other_channels,
    "no slices": _no_slices,
}
"""By name; of ``reference.safetensors``."""
