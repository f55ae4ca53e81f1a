"""ONNX graphs: one for each network, and all merged into the one that the runtime runs."""

import copy
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

from ctpdeploy.export.fold import FoldedSwitchNorm
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.train.networks.chain import OUTPUTS, Wiring, source_channels
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

__all__ = ["BATCH", "export_network", "merge_pipeline", "nodes_as_trained", "tensor_shapes"]

BATCH = "N"
"""Name of the free batch axis. Height and width are fixed: normalisation statistics span the slice."""

_EXPORTED_BATCH = 2  # the exporter takes an axis of length one for a constant


def export_network(network: nn.Module, *, shape: Sequence[int], inputs: str, outputs: str) -> onnx.ModelProto:
    """A network as ONNX in float32 with a free batch axis.

    Args:
        network: takes and returns one ``(N, C, H, W)`` tensor.
        shape: ``(C, H, W)`` of the input.
        inputs: name of the input.
        outputs: name of the output.
    """
    example = torch.zeros(_EXPORTED_BATCH, *shape)
    with _quiet_exporter():
        program = torch.onnx.export(
            copy.deepcopy(network).float(),
            (example,),
            dynamo=True,
            input_names=[inputs],
            output_names=[outputs],
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with the paths of this machine
        node.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def merge_pipeline(models: Mapping[str, onnx.ModelProto], wiring: Wiring, *, frames: int) -> onnx.ModelProto:
    """Join the networks of a chain.

    For the source's own system::

        frames -> extractor ──────────────┐
        features ──────────────── Concat ─┴─> generator -> segmenter -> Softmax -> channel 1

    Inputs are ``frames`` and ``features``, those of them that a network reads; outputs are those of the networks, with
    ``probability`` of lesion in place of the logits.

    Args:
        models: one by one as :func:`export_network` made them, in the order in which they run.
        wiring: inputs of each.
        frames: C_e, number of frames.
    """
    parts = {role: onnx.compose.add_prefix(model, f"{role}/") for role, model in models.items()}
    seen = {name for sees in wiring.values() for name in sees}
    batch, _, height, width = _shape(next(iter(models.values())).graph.input[0])
    nodes = []
    initializers = [helper.make_tensor("lesion", TensorProto.INT64, [], [1])]
    if "maps" in seen:
        bounds = {"first": 0, "after_last": len(MAP_NAMES), "channel_axis": 1}
        initializers += [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in bounds.items()]
        nodes.append(helper.make_node("Slice", ["features", *bounds], ["maps"]))
    for role, part in parts.items():
        (stacked,), (output,) = part.graph.input, part.graph.output
        join = {"op_type": "Concat", "axis": 1} if len(wiring[role]) > 1 else {"op_type": "Identity"}
        nodes += [
            helper.make_node(inputs=wiring[role], outputs=[stacked.name], **join),
            *part.graph.node,
            helper.make_node("Identity", [output.name], [OUTPUTS[role]]),
        ]
        initializers += part.graph.initializer
    nodes += [
        helper.make_node("Softmax", [OUTPUTS["segmenter"]], ["classes"], axis=1),
        helper.make_node("Gather", ["classes", "lesion"], ["probability"], axis=1),
    ]
    given = [name for name in ("frames", "features") if name in seen or (name == "features" and "maps" in seen)]
    images = [OUTPUTS[role] for role in models if role != "segmenter"]
    graph = helper.make_graph(
        nodes,
        "pipeline",
        inputs=[_tensor(name, [batch, source_channels([name], frames), height, width]) for name in given],
        outputs=[
            *(_tensor(name, [batch, 1, height, width]) for name in images),
            _tensor("probability", [batch, height, width]),
        ],
        initializer=initializers,
    )
    first = next(iter(models.values()))
    model = helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def _tensor(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    """Shape of a graph input or output; the free axis by its name."""
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def nodes_as_trained(trained: nn.Module, folded: nn.Module, graph: onnx.ModelProto) -> int:
    """Number of operators of a network exported as it was trained.

    Counted from what folding changed: each layer of normalisation exported on its own, before and after. To export the
    whole network twice would only take longer.

    Args:
        trained: the network as trained.
        folded: the same, folded.
        graph: of ``folded``.
    """
    more = 0
    for name, layer in trained.named_modules():
        if isinstance(layer, SwitchNorm2d | nn.BatchNorm2d):
            more += _nodes_of(type(layer).__name__) - _nodes_of(type(folded.get_submodule(name)).__name__)
    return len(graph.graph.node) + more


@functools.cache
def _nodes_of(kind: str) -> int:
    """Operators of a kind of normalisation; they depend neither on its width nor on what it learned."""
    if kind == "Identity":
        return 0
    layers: dict[str, nn.Module] = {"SwitchNorm2d": SwitchNorm2d(2), "BatchNorm2d": nn.BatchNorm2d(2)}
    layer = layers[kind] if kind in layers else FoldedSwitchNorm(SwitchNorm2d(2))
    return len(export_network(layer.eval(), shape=(2, 4, 4), inputs="x", outputs="y").graph.node)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks on absent packages and on its own deprecations from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def tensor_shapes(values: Sequence[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
    """Shapes by name, for the manifest of the bundle."""
    return {value.name: _shape(value) for value in values}
