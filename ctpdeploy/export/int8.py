"""INT8 written into a graph: QuantizeLinear and DequantizeLinear around convolutions, by ONNX Runtime's quantiser.

Symmetric, weights per channel, data per tensor, neither bias nor results quantised: the one form that TensorRT's parser
takes. Scales come from the ranges of data seen on calibration slices.
"""

import copy
import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization

from ctpdeploy.export.half import CONVOLUTIONS, convolutions_of, layer_of
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.train.networks.chain import OUTPUTS, Wiring

__all__ = ["Calibration"]


class Calibration:
    """Slices that give INT8 its scales.

    Args:
        reference: the slices, with the outputs of each network on them.
        wiring: inputs of each network.
        folder: where the ranges of data are kept once they are measured; empty at first.
    """

    def __init__(self, reference: Reference, wiring: Wiring, folder: Path) -> None:
        self._folder = folder
        arrays = dict(reference.sources)
        arrays |= {OUTPUTS[role]: reference.outputs[role].astype(np.float32) for role in wiring}
        self._inputs = {role: np.concatenate([arrays[name] for name in sees], axis=1) for role, sees in wiring.items()}

    def to_int8(self, role: str, model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
        """A copy of a float32 network whose convolutions work in INT8.

        Args:
            role: of the network.
            model: the same in every call.
            keep: layers that stay in float32.
        """
        chosen = {node.name for node in convolutions_of(model.graph) if layer_of(node) not in keep}
        kept = [node.name for node in model.graph.node if node.op_type in CONVOLUTIONS and node.name not in chosen]
        if not chosen:
            return model
        (name,) = (value.name for value in model.graph.input)
        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder) / "quantised.onnx"
            quantization.quantize_static(
                copy.deepcopy(model),  # it is quantised in place
                path,
                _Slices(name, self._inputs[role]),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(CONVOLUTIONS),
                nodes_to_exclude=kept,
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                calibration_cache_path=self._folder / f"{role}.json",
                extra_options=_OPTIONS,
            )
            quantised = onnx.load(path)
        del quantised.graph.value_info[:]
        onnx.checker.check_model(quantised, full_check=True)
        return quantised


_OPTIONS: Final = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "OpTypesToExcludeOutputQuantization": list(CONVOLUTIONS),
}


class _Slices(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not typed
    """Hands out one slice after the other."""

    def __init__(self, name: str, slices: NDArray[np.float32]) -> None:
        self._rows = iter([{name: row[None]} for row in slices])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._rows, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice on other ways to quantise from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
