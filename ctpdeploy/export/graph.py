"""ONNX graphs: one for each network, and the three merged into the one that the runtime runs."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

__all__ = ["BATCH", "export_network", "merge_pipeline", "tensor_shapes"]

BATCH = "N"
"""Name of the free batch axis. Height and width are fixed: normalisation statistics span the slice."""

_EXPORTED_BATCH = 2  # the exporter takes an axis of length one for a constant


def export_network(
    network: nn.Module, path: Path, *, shape: Sequence[int], inputs: str, outputs: str
) -> onnx.ModelProto:
    """Write a folded network as ONNX in float32 with a free batch axis.

    Args:
        network: takes and returns one ``(N, C, H, W)`` tensor.
        path: file to write.
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
    onnx.save(model, path)
    return model


def merge_pipeline(
    extractor: onnx.ModelProto, generator: onnx.ModelProto, slnet: onnx.ModelProto, path: Path
) -> onnx.ModelProto:
    """Join the three networks: frames and features in, F_h, pseudo-DWI and lesion probability out.

    ::

        frames -> extractor ──────────────┐
        features ──────────────── Concat ─┴─> generator -> slnet -> Softmax -> channel 1
    """
    parts = [
        onnx.compose.add_prefix(model, f"{name}/")
        for name, model in (("extractor", extractor), ("generator", generator), ("slnet", slnet))
    ]
    (frames,), (high,) = parts[0].graph.input, parts[0].graph.output
    (stacked,), (pseudo_dwi,) = parts[1].graph.input, parts[1].graph.output
    (segmenter_input,), (logits,) = parts[2].graph.input, parts[2].graph.output
    batch, _, height, width = _shape(stacked)
    maps = stacked.type.tensor_type.shape.dim[1].dim_value - 1  # all of the generator's input but F_h
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, maps, height, width])
    nodes = [
        helper.make_node("Identity", ["frames"], [frames.name]),
        *parts[0].graph.node,
        helper.make_node("Identity", [high.name], ["extractor"]),
        helper.make_node("Concat", ["features", high.name], [stacked.name], axis=1),
        *parts[1].graph.node,
        helper.make_node("Identity", [pseudo_dwi.name], ["pseudo_dwi"]),
        helper.make_node("Identity", [pseudo_dwi.name], [segmenter_input.name]),
        *parts[2].graph.node,
        helper.make_node("Softmax", [logits.name], ["classes"], axis=1),
        helper.make_node("Gather", ["classes", "lesion"], ["probability"], axis=1),
    ]
    plane = [batch, 1, height, width]
    graph = helper.make_graph(
        nodes,
        "pipeline",
        inputs=[helper.make_tensor_value_info("frames", TensorProto.FLOAT, _shape(frames)), features],
        outputs=[
            helper.make_tensor_value_info("extractor", TensorProto.FLOAT, plane),
            helper.make_tensor_value_info("pseudo_dwi", TensorProto.FLOAT, plane),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, [batch, height, width]),
        ],
        initializer=[
            *(tensor for part in parts for tensor in part.graph.initializer),
            helper.make_tensor("lesion", TensorProto.INT64, [], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=extractor.opset_import, ir_version=extractor.ir_version)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return model


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    """Shape of a graph input or output; the free axis by its name."""
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


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
