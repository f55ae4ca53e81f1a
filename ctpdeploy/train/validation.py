"""Validation: scores of the networks on cases that they do not learn from, for the choice of the best epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctpdeploy.errors import GuardError
from ctpdeploy.paper.systems import Role, System
from ctpdeploy.runtime.metrics.average_precision import average_precision
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
        ap: mean average precision of the same voxels, which no threshold enters; None also where no case has lesion.
        abs_dv_ml: mean absolute difference of the volumes on that grid, in ml.
        loss: where dice is None, l_l of the image that is learnt over all validation slices (equation 7, as the system
            defines it; the mean square for a system without). The context and adversarial losses are left out: their
            own networks learn too, so that their values cannot be compared between epochs.
    """

    dice: float | None = None
    ap: float | None = None
    abs_dv_ml: float | None = None
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
        scores = torch.tensor([_scores(engine, case) for case in cases], dtype=torch.float64).view(-1, 3)
        means = [_defined_mean(column.to(_device(chain))) for column in scores.unbind(dim=1)]
        return Validation(dice=means[0], ap=means[1], abs_dv_ml=means[2])
    return Validation(loss=_loss(chain, cases, system, learns[-1]))


def _defined_mean(values: Tensor) -> float | None:
    """Mean over all processes of what is not NaN; None of nothing."""
    mean = float(batch_mean(values[~values.isnan()]))
    return None if math.isnan(mean) else mean


def _scores(engine: TorchEngine, case: LabelledCase) -> tuple[float, float, float]:
    """Dice, average precision and absolute volume difference of a case."""
    probability = engine.run(case.inputs).probability
    if not np.isfinite(probability).all():
        raise GuardError(f"The networks return NaN or infinity for {case.identifier}: lower the learning rate.")
    found = agreement(probability > PreprocessConfig.threshold, case.lesion, case.voxel_ml)
    return found.dice, average_precision(probability, case.lesion), found.abs_dv_ml


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
