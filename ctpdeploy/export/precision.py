"""Graphs in the requested precision, and the layers that have to stay in float32.

All convolutions are converted first. If the limits hold, that is all. Otherwise each layer is converted on its own to
see what it costs at the end of the chain; the costliest stay in float32, as few as will do, found by bisection.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from onnx import ModelProto

from ctpdeploy.errors import GateError
from ctpdeploy.export.half import convolutions_of, layer_of, to_half
from ctpdeploy.export.int8 import Calibration
from ctpdeploy.runtime.gate.verification import Comparison

__all__ = ["Convert", "Converted", "Graphs", "Progress", "converted", "find_mixture", "layers_of"]

Graphs = Mapping[str, ModelProto]
"""Networks by role, in the order in which they run."""

Progress = Callable[[str, float], None]
"""Called with the step under way in words, and the share of it that is done."""

Convert = Callable[[Collection[str]], Graphs]
"""Converts all layers but those named, as :func:`layers_of` names them."""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """Graphs that hold.

    Attributes:
        graphs: of each network.
        trial: their comparison with the reference.
        float32_layers: layers that stay in float32.
        layer_errors: root mean square error of the chain with one layer alone converted, where that was needed.
    """

    graphs: Graphs
    trial: Comparison
    float32_layers: tuple[str, ...] = ()
    layer_errors: Mapping[str, float] = field(default_factory=dict)


def layers_of(graphs: Graphs) -> list[str]:
    """Layers that could be converted: ``ROLE/LAYER``."""
    names = {
        f"{role}/{layer_of(node)}": None for role, graph in graphs.items() for node in convolutions_of(graph.graph)
    }
    return list(names)


def converted(graphs: Graphs, keep: Collection[str], calibration: Calibration | None) -> Graphs:
    """Graphs with all layers but some in another precision.

    Args:
        graphs: in float32.
        keep: layers that stay so.
        calibration: gives INT8 its scales; without it the precision is half.
    """
    kept = {role: {layer.removeprefix(f"{role}/") for layer in keep if layer.startswith(f"{role}/")} for role in graphs}
    if calibration is None:
        return {role: to_half(graph, kept[role]) for role, graph in graphs.items()}
    return {role: calibration.to_int8(role, graph, kept[role]) for role, graph in graphs.items()}


def find_mixture(
    layers: list[str],
    convert: Convert,
    judge: Callable[[Graphs], Comparison],
    cost: Callable[[Graphs], float],
    progress: Progress,
) -> Converted:
    """Convert as many layers as the limits allow.

    Args:
        layers: that could be converted.
        convert: makes the graphs.
        judge: measures them.
        cost: error of the chain.
        progress: called with the layers under test and the share of the search that is done.

    Raises:
        GateError: the limits hold with no layer converted, or with none that is worth it.
    """
    progress(f"gate: all {len(layers)} layers", 0.0)
    graphs = convert(())
    trial = everything = judge(graphs)
    if not trial.failures():
        return Converted(graphs=graphs, trial=trial)
    errors = {}
    for number, layer in enumerate(layers):
        progress(f"layer {number + 1} of {len(layers)}: {layer}", 0.1 + 0.6 * number / len(layers))
        errors[layer] = cost(convert([other for other in layers if other != layer]))
    costliest = sorted(layers, key=lambda layer: -errors[layer])
    failing, holding, found = 0, len(layers), None
    while holding - failing > 1:
        kept = (failing + holding) // 2
        progress(
            f"gate: {kept} of {len(layers)} layers in float32", 0.7 + 0.3 * (1 - (holding - failing) / len(layers))
        )
        graphs = convert(costliest[:kept])
        trial = judge(graphs)
        if trial.failures():
            failing = kept
        else:
            holding, found = kept, (graphs, trial)
    if found is None:
        raise GateError(
            f"This precision does not hold, not even for a single layer of {len(layers)}: with all of them, "
            f"{'; '.join(everything.failures())}; nothing was published."
        )
    graphs, trial = found
    return Converted(graphs=graphs, trial=trial, float32_layers=tuple(costliest[:holding]), layer_errors=errors)
