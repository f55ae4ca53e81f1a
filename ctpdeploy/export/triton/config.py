"""``config.pbtxt``: how a Triton server is to serve the merged network, in the text format of protobuf.

Slices are independent: normalisation statistics span one slice, so a slice gives the same outputs in every batch. That
is why the server may batch the slices of several patients together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["ONNX", "SLICES", "TENSORRT", "VERSION", "TritonModel", "Word", "config_text", "to_text"]

SLICES: Final = (1, 8, 32)
"""Fewest, most likely and most slices of a batch, as ``ctpdeploy warmup`` takes them."""
VERSION: Final = 1
QUEUE_DELAY_US: Final = 5000
"""Longest wait of the first slice of a batch for others: short beside the time that the networks take."""


class Word(str):
    """A value of an enumeration, which stands without quotes."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class TritonModel:
    """One way to serve the merged network.

    Attributes:
        name: of the model, and of its folder.
        backend: Triton's name of what runs it.
        file: name that the backend requires in the folder of a version.
        kind: processors that it runs on.
        settings: further fields of the configuration.
        parameters: further ``parameters``, by which backends are set as well.
    """

    name: str
    backend: str
    file: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


ONNX: Final = TritonModel(
    name="ctp_pipeline_onnx",
    backend="onnxruntime",
    file="model.onnx",
    kind="KIND_AUTO",  # a GPU where there is one, else the CPU
    # by default products of float32 are taken with 10 bits of mantissa; the export was verified with 23
    settings={
        "optimization": {
            "execution_accelerators": {
                "gpu_execution_accelerator": {"name": "cuda", "parameters": {"key": "use_tf32", "value": "0"}}
            }
        }
    },
    # heuristic: the default is to time all algorithms anew for each size of batch, and batches come in all sizes
    parameters={"cudnn_conv_algo_search": "1"},
)
TENSORRT: Final = TritonModel(
    name="ctp_pipeline_tensorrt",
    backend="tensorrt",
    file="model.plan",
    kind="KIND_GPU",
)


def config_text(model: TritonModel, bundle: Bundle) -> str:
    """The configuration of a model.

    Args:
        model: how it is served.
        bundle: to serve; shapes are those of its manifest.
    """
    network = bundle.networks[PIPELINE]
    fewest, likely, most = SLICES
    config = {
        "name": model.name,
        "backend": model.backend,
        "max_batch_size": most,
        "input": [{"name": name, **_tensor(shape)} for name, shape in network.inputs.items()],
        "output": [{"name": name, **_tensor(shape)} for name, shape in network.outputs.items()],
        # that one and no later one: the parameters below are those of this bundle
        "version_policy": {"specific": {"versions": [VERSION]}},
        "instance_group": {"count": 1, "kind": Word(model.kind)},
        "dynamic_batching": {
            "preferred_batch_size": [likely, most],
            "max_queue_delay_microseconds": QUEUE_DELAY_US,
        },
        # the largest batch too: where its memory is not to be had the model does not load, instead of failing at work
        "model_warmup": [_warmup(slices, network.inputs) for slices in (fewest, likely, most)],
        **model.settings,
        "parameters": [
            {"key": key, "value": {"string_value": value}}
            for key, value in {**_provenance(bundle), **model.parameters}.items()
        ],
    }
    return f"# {INTENDED_USE}\n# Written by ctpdeploy {__version__}.\n{to_text(config)}"


def to_text(message: Mapping[str, Any], indent: str = "") -> str:
    """A message in the text format of protobuf. A list is a repeated field, a map is one of keys and values.

    Numbers and strings are written as in JSON, which protobuf reads.
    """
    return "".join(_field(name, value, indent) for name, value in message.items())


def _field(name: str, value: Any, indent: str) -> str:  # noqa: ANN401  whatever a message holds
    if isinstance(value, Mapping):
        return f"{indent}{name} {{\n{to_text(value, indent + '  ')}{indent}}}\n"
    if isinstance(value, list) and isinstance(value[0], Mapping):
        return "".join(_field(name, one, indent) for one in value)
    return f"{indent}{name}: {value if isinstance(value, Word) else json.dumps(value, ensure_ascii=False)}\n"


def _tensor(shape: Sequence[int | str]) -> dict[str, Any]:
    """Type and shape without the batch axis, which Triton adds."""
    return {"data_type": Word("TYPE_FP32"), "dims": list(shape[1:])}


def _warmup(slices: int, inputs: Mapping[str, Sequence[int | str]]) -> dict[str, Any]:
    """A batch of zeros, which are air in a prepared slice."""
    return {
        "name": f"batch of {slices}",
        "batch_size": slices,
        "inputs": [{"key": name, "value": {**_tensor(shape), "zero_data": True}} for name, shape in inputs.items()],
    }


def _provenance(bundle: Bundle) -> dict[str, str]:
    """Parameters on the origin of the model in its configuration; the client compares the hash."""
    return {
        "bundle": bundle.source.resolve().name,
        "bundle_sha256": bundle.sha256,
        "system": bundle.system,
        "precision": bundle.precision,
        "ctpdeploy": __version__,
        "intended_use": INTENDED_USE,
    }
