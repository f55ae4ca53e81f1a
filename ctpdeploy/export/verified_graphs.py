"""The way from a trained chain to graphs that are proven: fold, export, convert, each measured against float64."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ctpdeploy.errors import UsageError
from ctpdeploy.export.fold import fold
from ctpdeploy.export.gate import first_difference, make_reference, try_folded
from ctpdeploy.export.graph_builder import Workbench
from ctpdeploy.export.int8 import Calibration
from ctpdeploy.export.precision import Converted, Graphs, Progress, converted, find_mixture, layers_of
from ctpdeploy.export.static_norm import make_static
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.runtime.gate.verification import LIMITS, Comparison, Verification, limits_of
from ctpdeploy.train.networks.chain import Chain

__all__ = ["Approximation", "prove"]


@dataclass(frozen=True, kw_only=True)
class Approximation:
    """Changes by more than float32 rounding that the export may make.

    Attributes:
        precision: number format of the convolutions.
        static_norm: make the statistics of Switchable Normalization constants.
        calibration: slices behind INT8's scales and these constants.
        calibration_cases: where they come from, for the record.
    """

    precision: str = "fp32"
    static_norm: bool = False
    calibration: SliceBatch | None = None
    calibration_cases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.precision not in LIMITS:
            raise UsageError(f"There is no precision '{self.precision}': choose {', '.join(LIMITS)}.")
        if self.calibration is None and (self.static_norm or self.precision == "int8"):
            raise UsageError("INT8 and constant normalisation need calibration cases: give some.")


def prove(
    bench: Workbench, approximation: Approximation, cases: Sequence[str], progress: Progress
) -> tuple[Graphs, Verification]:
    """Make the graphs of a trained chain and measure every step of the way.

    Args:
        bench: chain and reference.
        approximation: changes that are allowed.
        cases: where the slices of the reference come from, for the record.
        progress: called with each step.

    Returns:
        Graphs that hold every limit, and all measurements.

    Raises:
        GateError: a limit does not hold; names each, with the figures.
        UsageError: normalisation is to be made constant and there is none that could be.
    """
    progress("folding normalisation", 0.0)
    folded = fold(bench.chain)
    trials = [_try_fold(folded, bench)]
    seen = approximation.calibration
    calibration = None if seen is None else make_reference(bench.chain, seen, bench.constants.threshold)
    bounds: dict[str, float] = {}
    if approximation.static_norm and calibration:
        folded, bounds = make_static(folded, calibration)
        if not bounds:
            raise UsageError("No network of this system has Switchable Normalization: leave --fold-sn-static out.")
    graphs = bench.export(folded, _part(progress, 0.05, 0.45))
    nodes = bench.nodes(folded, graphs)
    progress("gate: exported graphs against torch in float64", 0.5)
    limits = limits_of("fp32", static_norm=approximation.static_norm)
    found = Converted(graphs=graphs, trial=bench.judge("onnx", limits, graphs))
    found.trial.require()
    trials.append(found.trial)
    if approximation.precision != "fp32":
        found = _convert(bench, graphs, approximation, calibration, _part(progress, 0.6, 0.35))
        trials.append(found.trial)
    return found.graphs, Verification(
        precision=approximation.precision,
        slices=len(bench.reference),
        cases=tuple(cases),
        eager_flips=int(bench.reference.eager_flips.sum()),
        trials=tuple(trials),
        float32_layers=found.float32_layers,
        layer_errors=found.layer_errors,
        nodes=nodes,
        calibration=approximation.calibration_cases,
        static_bounds=bounds,
    )


def _try_fold(folded: Chain, bench: Workbench) -> Comparison:
    trial = try_folded(folded, bench.reference)
    if trial.failures():
        layer = first_difference(bench.chain, folded, bench.reference)
        trial.require(f" (the first layer to differ is {layer})" if layer else "")
    return trial


def _convert(
    bench: Workbench, graphs: Graphs, approximation: Approximation, calibration: Reference | None, progress: Progress
) -> Converted:
    """Graphs in the requested precision, as far as the limits allow."""
    precision = approximation.precision
    limits = limits_of(precision, static_norm=approximation.static_norm)
    with tempfile.TemporaryDirectory() as folder:
        scales = None
        if precision == "int8" and calibration is not None:
            scales = Calibration(calibration, bench.chain.wiring, Path(folder))
        return find_mixture(
            layers_of(graphs),
            convert=lambda keep: converted(graphs, keep, scales),
            judge=partial(bench.judge, f"onnx {precision}", limits),
            cost=bench.cost,
            progress=progress,
        )


def _part(progress: Progress, first: float, share: float) -> Progress:
    """A step's own progress as a part of the whole."""
    return lambda text, done: progress(text, first + share * done)
