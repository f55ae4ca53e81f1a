"""The gate: what was exported equals what was trained, or nothing is published.

The reference is the trained chain in float64. Eager torch in float32 has an error of its own against it; the folded
torch model and each ONNX graph may have a little more of the same, measured in units of that error, for each network
on the reference's own inputs and for the whole chain. Labels may differ from the reference's only where the reference
itself lies within rounding of the threshold.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctpdeploy.errors import GateError
from ctpdeploy.export.verification import LIMITS, Check, Verification
from ctpdeploy.optional import require
from ctpdeploy.runtime.agreement import agreement
from ctpdeploy.runtime.bundle import PIPELINE
from ctpdeploy.runtime.case import MAP_NAMES
from ctpdeploy.runtime.postprocess import THRESHOLD
from ctpdeploy.runtime.preprocess import SliceBatch
from ctpdeploy.train.networks.chain import OUTPUTS, Chain

__all__ = ["verify"]


def verify(
    chain: Chain, folded: Chain, files: dict[str, Path], batch: SliceBatch, cases: Sequence[str]
) -> Verification:
    """Compare a folded chain and its ONNX files with the trained chain.

    Args:
        chain: as trained.
        folded: folded in float64.
        files: ONNX file by network, and that of the pipeline.
        batch: slices of real cases.
        cases: where the slices come from, for the record.

    Raises:
        GateError: a limit does not hold; the message names each.
    """
    reference = _run_torch(copy.deepcopy(chain).double(), batch)
    eager = _run_torch(copy.deepcopy(chain).float(), batch, reference)
    candidates = {
        "folded": _run_torch(copy.deepcopy(folded).float(), batch, reference),
        "onnx": _run_onnx(chain, files, batch, reference),
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
        batch_difference=_batch_difference(files[PIPELINE], batch),
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
    tensors = {name: torch.from_numpy(array).to(kind) for name, array in _sources(batch).items()}
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        for role, sees in chain.wiring.items():
            seen = torch.cat([tensors[name] for name in sees], dim=1)
            outputs[role] = torch.cat([chain.get_submodule(role)(seen[i : i + 1]) for i in range(len(seen))])
            tensors[OUTPUTS[role]] = outputs[role] if reference is None else torch.from_numpy(reference[role]).to(kind)
        frames, features = tensors["frames"], tensors["features"]
        rows = [chain(frames[i : i + 1], features[i : i + 1])["logits"] for i in range(len(frames))]
        outputs["chain"] = torch.cat(rows).softmax(1)[:, 1]
    return {name: tensor.double().numpy() for name, tensor in outputs.items()}


def _run_onnx(chain: Chain, files: dict[str, Path], batch: SliceBatch, reference: Outputs) -> Outputs:
    """The same in ONNX Runtime, slice by slice."""
    arrays = _sources(batch) | {OUTPUTS[role]: reference[role].astype(np.float32) for role in chain.wiring}
    outputs = {}
    for role, sees in chain.wiring.items():
        seen = np.concatenate([arrays[name] for name in sees], axis=1)
        outputs[role] = _slices(files[role], {"_and_".join(sees): seen})
    outputs["chain"] = _slices(files[PIPELINE], arrays)
    return outputs


def _sources(batch: SliceBatch) -> dict[str, NDArray[np.float32]]:
    """What the networks see of a case."""
    return {"frames": batch.frames, "features": batch.features, "maps": batch.features[:, : len(MAP_NAMES)]}


def _slices(file: Path, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """The last output of an ONNX file for each slice on its own."""
    session = _session(file)
    names = [value.name for value in session.get_inputs()]
    last = session.get_outputs()[-1].name
    count = len(inputs[names[0]])
    rows = [session.run([last], {name: inputs[name][i : i + 1] for name in names})[0] for i in range(count)]
    return np.concatenate(rows).astype(np.float64)


def _batch_difference(file: Path, batch: SliceBatch) -> float:
    """Largest change of a probability when all slices go through at once."""
    session, sources = _session(file), _sources(batch)
    together = session.run(["probability"], {value.name: sources[value.name] for value in session.get_inputs()})[0]
    return float(np.abs(together - _slices(file, sources)).max())


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
