"""Validation: scores of the networks on cases that they do not learn from, for the choice of the best epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ctpdeploy.errors import GuardError
from ctpdeploy.paper.systems import Role, System
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.all_reduce import batch_mean
from ctpdeploy.train.dataset import LabelledCase
from ctpdeploy.train.losses.synthesis import pixel_loss
from ctpdeploy.train.networks.chain import OUTPUTS, Chain
from ctpdeploy.train.torch_engine import TorchEngine, run_chain

__all__ = ["Validation", "validate"]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The outcome of an epoch.

    Attributes:
        dice: mean Dice of whole volumes on the networks' grid; None as long as no network draws a lesion.
        loss: where dice is None, l_l of the image that is learnt over all validation slices (equation 7, as the system
            defines it; the mean square for a system without). The context and adversarial losses are left out: their
            own networks learn too, so that their values cannot be compared between epochs.
    """

    dice: float | None = None
    loss: float | None = None

    @property
    def score(self) -> float:
        """Larger is better."""
        return self.dice if self.dice is not None else -(self.loss or 0.0)


def validate(chain: Chain, cases: Sequence[LabelledCase], system: System, learns: tuple[Role, ...]) -> Validation:
    """Validate the networks that learn; puts the chain into evaluation mode.

    Args:
        chain: in training.
        cases: this process's share of the validation cases.
        system: of the chain.
        learns: the networks that learn.

    Raises:
        GuardError: the networks return NaN or infinity.
    """
    if "segmenter" in learns:
        engine = TorchEngine(chain)
        dice = torch.tensor([_dice(engine, case) for case in cases], dtype=torch.float64, device=_device(chain))
        return Validation(dice=float(batch_mean(dice)))
    return Validation(loss=_loss(chain, cases, system, learns[-1]))


def _dice(engine: TorchEngine, case: LabelledCase) -> float:
    probability = engine.run(case.inputs).probability
    if not np.isfinite(probability).all():
        raise GuardError(f"The networks return NaN or infinity for {case.identifier}: lower the learning rate.")
    return agreement(probability > PreprocessConfig.threshold, case.lesion, voxel_ml=1.0).dice  # which no volume enters


def _loss(chain: Chain, cases: Sequence[LabelledCase], system: System, role: Role) -> float:
    """l_l over the slices of all cases of all processes, each of which makes this one call, cases or none."""
    empty = torch.empty(0, 1, 1, 1)
    images, targets, weights = [empty], [empty], [empty[:, 0]]
    for case in cases:
        images.append(torch.from_numpy(run_chain(chain.eval(), case.inputs, upto=role)[OUTPUTS[role]]))
        targets.append(torch.from_numpy(case.inputs.dwi))
        weights.append(torch.from_numpy(case.weight))
    first = 1 if cases else 0
    tensors = [torch.cat(parts[first:]).to(_device(chain)) for parts in (images, targets, weights)]
    kind = (system.synthesis and system.synthesis.pixel) or "l2"
    loss = float(pixel_loss(*tensors, kind=kind))
    if not np.isfinite(loss):
        raise GuardError("The networks return NaN or infinity for a validation case: lower the learning rate.")
    return loss


def _device(chain: Chain) -> torch.device:
    return next(chain.parameters()).device
