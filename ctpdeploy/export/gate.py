"""The gate's reference from torch: the trained chain in float64, eager float32 beside it, and the folded chain.

What is exported equals what was trained, or nothing is published; :mod:`ctpdeploy.runtime.gate.verification` has what
is compared and :mod:`ctpdeploy.runtime.gate.gate` the graphs.
"""

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.reference import CHAIN, Reference, network_sources
from ctpdeploy.runtime.gate.verification import LIMITS, Comparison, compare
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.networks.chain import OUTPUTS, Chain, joined

__all__ = ["first_difference", "make_reference", "try_folded"]

Arrays = Mapping[str, NDArray[np.floating[Any]]]


def make_reference(chain: Chain, batch: SliceBatch, threshold: float = PreprocessConfig.threshold) -> Reference:
    """Run a trained chain in float64, and in float32 beside it, in evaluation.

    Args:
        chain: as trained.
        batch: slices of real cases.
        threshold: probability above which lesion will be drawn.
    """
    sources = network_sources(batch.frames, batch.features)
    truth = _run(copy.deepcopy(chain).double().eval(), sources)
    eager = _run(copy.deepcopy(chain).float().eval(), sources, truth)
    flipped = (eager[CHAIN] > threshold) != (truth[CHAIN] > threshold)
    return Reference(
        frames=batch.frames,
        features=batch.features,
        outputs=truth,
        eager={name: _errors(eager[name] - truth[name]) for name in truth},
        eager_flips=flipped.sum(axis=(1, 2)),
        threshold=threshold,
    )


def try_folded(folded: Chain, reference: Reference) -> Comparison:
    """Compare a folded chain, in float32 and in the mode in which it would be exported, with the reference."""
    outputs = _run(copy.deepcopy(folded).float(), reference.sources, reference.outputs)
    return compare("folded", outputs, reference, LIMITS["fp32"])


def first_difference(chain: Chain, folded: Chain, reference: Reference) -> str | None:
    """Name of the first layer whose output in a folded chain differs from that in the trained one, in float64.

    Compared are the inputs of the activations, which folding must not change; None if all are equal.
    """
    trained, candidate = (_activations(copy.deepcopy(module).double(), reference) for module in (chain.eval(), folded))
    for name, expected in trained.items():
        difference = float((candidate[name] - expected).abs().max())
        if not difference <= 1e-9 * float(expected.abs().max()):
            return name
    return None


def _activations(chain: Chain, reference: Reference) -> dict[str, Tensor]:
    """Input of each activation for the first slice, by the name of the layer before it."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: found.update({name: found.get(name, inputs[0].clone())})

    for name, module in chain.named_modules():
        if isinstance(module, nn.Sequential):
            for (before, _), (_, activation) in pairwise(module.named_children()):
                if isinstance(activation, nn.ReLU):
                    activation.register_forward_pre_hook(keep(f"{name}.{before}"))
    first = reference.first(1)
    _run(chain, first.sources, first.outputs)
    return found


def _run(chain: Chain, sources: Arrays, known: Arrays | None = None) -> dict[str, NDArray[np.float64]]:
    """Each network on the known outputs of those before it, or else on their outputs here; then the whole chain."""
    kind = next(chain.parameters()).dtype
    tensors = {name: torch.from_numpy(array).to(kind) for name, array in sources.items()}
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        for role, sees in chain.wiring.items():
            seen = joined(tensors, sees)
            outputs[role] = torch.cat([chain.get_submodule(role)(row[None]) for row in seen])
            tensors[OUTPUTS[role]] = outputs[role] if known is None else torch.from_numpy(known[role]).to(kind)
        slices = zip(tensors["frames"], tensors["features"], strict=True)
        logits = torch.cat([chain(frames[None], features[None])["logits"] for frames, features in slices])
        outputs[CHAIN] = logits.softmax(1)[:, 1]
    return {name: tensor.double().numpy() for name, tensor in outputs.items()}


def _errors(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square and largest of each slice, ``(N, 2)``."""
    flat = np.abs(difference).reshape(len(difference), -1)
    return np.stack([np.sqrt((flat**2).mean(axis=1)), flat.max(axis=1)], axis=1)
