"""Inspection of a finished engine's layers: the second proof of precision, which needs the GPU that it is for.

The inspector describes tensors in words, such as ``Row major linear FP16 format`` or ``Half``, and weights by a type.
Of tensors whose shape is not fixed it may give no format; then only the parsed network proves anything, and the figures
hold the number of layers without one.
"""

import json
from collections import Counter
from types import ModuleType
from typing import Any, Final

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.callbacks import collecting_logger
from ctpdeploy.runtime.backends.trt.deserialise import deserialise_engine
from ctpdeploy.runtime.backends.trt.packages import Native

__all__ = ["inspect_engine", "prove_engine"]

_WORDS: Final = {"int8": "INT8", "fp16": "HALF", "half": "HALF", "bf16": "BF16", "fp32": "FLOAT", "float": "FLOAT"}
_ALLOWED: Final = {"fp32": {"FLOAT"}, "fp16": {"FLOAT", "HALF"}, "int8": {"FLOAT", "HALF", "INT8"}}
_NEEDED: Final = {"fp32": "FLOAT", "fp16": "HALF", "int8": "INT8"}


def inspect_engine(trt: ModuleType, engine: bytes) -> list[Any]:
    """Layers of an engine, as its inspector describes them.

    Args:
        trt: the package that built it. A driver and the GPU that it is for have to be there; without a driver some
            runtimes crash the process.
        engine: built by this program.

    Raises:
        BackendError: the engine cannot be opened here, or its inspector returns nothing that can be read.
    """
    opened = deserialise_engine(trt, engine, collecting_logger(trt))
    text = opened.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    try:
        layers: list[Any] = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"{trt.__name__} {trt.__version__} describes its engine in a way that is not known ({error}): report it."
        ) from error
    return layers


def prove_engine(layers: list[Any], precision: str) -> dict[str, int]:
    """Compare the formats of layers with the requested precision.

    Args:
        layers: of :func:`inspect_engine`.
        precision: one of ``PRECISIONS``.

    Returns:
        Number of layers that work in each number format, and as ``"UNTOLD"`` of those without one.

    Raises:
        BackendError: the engine is of another precision; with the figures.
    """
    by_layer = [_formats(layer) for layer in layers]
    figures = Counter(name for formats in by_layer for name in formats)
    foreign = set(figures) - _ALLOWED[precision]
    if foreign or (figures and _NEEDED[precision] not in figures):
        words = ", ".join(f"{count} {name}" for name, count in sorted(figures.items()))
        raise BackendError(
            f"The engine is not {precision}, its layers work in other formats ({words}): report it, and use another "
            "backend."
        )
    return {**dict(sorted(figures.items())), "UNTOLD": sum(not formats for formats in by_layer)}


def _formats(layer: Any) -> set[str]:  # noqa: ANN401  parsed JSON; without details a layer is its name alone
    """Number formats of a layer's inputs, outputs and weights."""
    if not isinstance(layer, dict):
        return set()
    tensors = [*layer.get("Inputs", ()), *layer.get("Outputs", ())]
    phrases = [str(tensor.get("Format/Datatype", "")) for tensor in tensors if isinstance(tensor, dict)]
    weights: Native = layer.get("Weights")
    phrases += [str(weights.get("Type", ""))] if isinstance(weights, dict) else []
    return {name for phrase in phrases for word, name in _WORDS.items() if word in phrase.lower()}
