"""The gate: what was exported equals what was trained, or nothing is published.

The reference is the trained chain in float64. Eager torch in float32 has an error of its own against it; the folded
torch model and each ONNX graph may have a little more of the same, measured in units of that error, for each network
on the reference's own inputs and for the whole chain. Labels may differ from the reference's only where the reference
itself lies within rounding of the threshold.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctpdeploy.errors import GateError
from ctpdeploy.export.verification import LIMITS, Check, Verification
from ctpdeploy.optional import require
from ctpdeploy.runtime.agreement import agreement
from ctpdeploy.runtime.postprocess import THRESHOLD
from ctpdeploy.runtime.preprocess import SliceBatch
from ctpdeploy.train.networks.chain import Chain

__all__ = ["verify"]


def verify(
    chain: Chain, folded: Chain, files: dict[str, Path], batch: SliceBatch, cases: Sequence[str]
) -> Verification:
    """Compare a folded chain and its ONNX files with the trained chain.

    Args:
        chain: as trained.
        folded: folded in float64.
        files: ONNX file by network: extractor, generator, slnet, pipeline.
        batch: slices of real cases.
        cases: where the slices come from, for the record.

    Raises:
        GateError: a limit does not hold; the message names each.
    """
    reference = _run_torch(copy.deepcopy(chain).double(), batch)
    eager = _run_torch(copy.deepcopy(chain).float(), batch, reference)
    candidates = {
        "folded": _run_torch(copy.deepcopy(folded).float(), batch, reference),
        "onnx": _run_onnx(files, batch, reference),
    }
    checks = [
        _compare(name, tensor, outputs[tensor], eager[tensor], reference[tensor])
        for name, outputs in candidates.items()
        for tensor in reference
    ]
    truth, label = (outputs["chain"] > THRESHOLD for outputs in (reference, candidates["onnx"]))
    rounding = LIMITS.max_ratio * np.abs(eager["chain"] - reference["chain"]).max()
    near = np.abs(reference["chain"] - THRESHOLD) <= rounding
    flipped = label != truth
    same = agreement(label, truth, 1.0)
    verification = Verification(
        limits=LIMITS,
        checks=tuple(checks),
        slices=len(batch.frames),
        cases=tuple(cases),
        flips=int(flipped.sum()),
        eager_flips=int(((eager["chain"] > THRESHOLD) != truth).sum()),
        flips_beyond_rounding=int((flipped & ~near).sum()),
        dice=same.dice,
        volume_difference=abs(same.volume_ml - same.true_volume_ml) / max(same.true_volume_ml, 1.0),
        batch_difference=_batch_difference(files["pipeline"], batch),
    )
    failures = verification.failures()
    if failures:
        reasons = "; ".join(failures)
        raise GateError(f"The export is not equal to the trained networks: {reasons}; nothing was published.")
    return verification


Outputs = dict[str, NDArray[np.float64]]
"""Output of each network on the reference's inputs, and ``"chain"``: the probability of the whole."""


def _run_torch(chain: Chain, batch: SliceBatch, reference: Outputs | None = None) -> Outputs:
    """Each network on the reference's inputs (its own outputs if it is the reference), then the chain."""
    chain.eval()
    kind = next(chain.parameters()).dtype
    frames, features = (torch.from_numpy(x).to(kind) for x in (batch.frames, batch.features))

    def run(network: nn.Module, x: Tensor) -> Tensor:
        return torch.cat([network(x[i : i + 1]) for i in range(len(x))])

    with torch.inference_mode():
        high = run(chain.extractor, frames)
        given_high = high if reference is None else torch.from_numpy(reference["extractor"]).to(kind)
        image = run(chain.generator, torch.cat([features, given_high], dim=1))
        given_image = image if reference is None else torch.from_numpy(reference["generator"]).to(kind)
        logits = run(chain.slnet, given_image)
        whole = torch.cat([chain(frames[i : i + 1], features[i : i + 1]).logits for i in range(len(frames))])
        outputs = {"extractor": high, "generator": image, "slnet": logits, "chain": whole.softmax(1)[:, 1]}
    return {name: tensor.double().numpy() for name, tensor in outputs.items()}


def _run_onnx(files: dict[str, Path], batch: SliceBatch, reference: Outputs) -> Outputs:
    """The same in ONNX Runtime, slice by slice."""
    stacked = np.concatenate([batch.features, reference["extractor"].astype(np.float32)], axis=1)
    inputs = {"extractor": batch.frames, "generator": stacked, "slnet": reference["generator"].astype(np.float32)}
    outputs = {name: _slices(files[name], [array]) for name, array in inputs.items()}
    outputs["chain"] = _slices(files["pipeline"], [batch.frames, batch.features])
    return outputs


def _slices(file: Path, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The last output of an ONNX file for each slice on its own."""
    session = _session(file)
    names = [value.name for value in session.get_inputs()]
    last = session.get_outputs()[-1].name
    results = [session.run([last], dict(zip(names, rows, strict=True)))[0] for rows in _one_by_one(inputs)]
    return np.concatenate(results).astype(np.float64)


def _one_by_one(inputs: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
    return [[array[i : i + 1] for array in inputs] for i in range(len(inputs[0]))]


def _batch_difference(file: Path, batch: SliceBatch) -> float:
    """Largest change of a probability when all slices go through at once."""
    together = _session(file).run(["probability"], {"frames": batch.frames, "features": batch.features})[0]
    return float(np.abs(together - _slices(file, [batch.frames, batch.features])).max())


def _session(file: Path) -> Any:  # noqa: ANN401  onnxruntime is imported where it is needed
    onnxruntime = require("onnxruntime", extra="cpu")
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def _compare(
    candidate: str,
    tensor: str,
    output: NDArray[np.float64],
    eager: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> Check:
    # a tensor that eager happens to get exactly right leaves no unit: then float32's resolution is one
    floor = float(np.finfo(np.float32).eps * np.abs(reference).max())
    rms, largest = _errors(output, reference)
    eager_rms, eager_largest = (max(error, floor / 2) for error in _errors(eager, reference))
    return Check(
        candidate=candidate,
        tensor=tensor,
        rms_error=rms,
        max_error=largest,
        eager_rms_error=eager_rms,
        eager_max_error=eager_largest,
        # written so that NaN does not hold
        held=rms <= LIMITS.rms_ratio * eager_rms and largest <= LIMITS.max_ratio * eager_largest,
    )


def _errors(output: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float]:
    difference = output - reference
    return float(np.sqrt((difference**2).mean())), float(np.abs(difference).max())
