"""Cases as training material: read and preprocessed once, kept in memory as float32."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctpdeploy.errors import InputError
from ctpdeploy.paper.systems import system_named
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.losses.weight_map import weight_map
from ctpdeploy.train.prepared_case import PreparedCase, prepare
from ctpdeploy.train.settings import TrainConfig

__all__ = ["Batch", "LabelledCase", "SliceDataset", "label", "read_labelled", "read_prepared"]


@dataclass(frozen=True, kw_only=True)
class LabelledCase(PreparedCase):
    """A prepared case with the weights that the losses of a run give its pixels.

    Attributes:
        weight: A, float32 ``(N, H, W)``.
    """

    weight: NDArray[np.float32]


def read_labelled(case: CaseRef, config: TrainConfig, cache: CaseCache | None = None) -> LabelledCase:
    """Read a case and preprocess it for training; the raw series is not kept.

    Args:
        case: to be read.
        config: of the run.
        cache: where the case is taken from if it is there, and kept if not.

    Raises:
        InputError: the case cannot be read, has no lesion, or has no DWI and the system needs it.
    """
    return _weighted(read_prepared(case, config, cache), config)


def read_prepared(case: CaseRef, config: TrainConfig, cache: CaseCache | None = None) -> PreparedCase:
    """Read a case and preprocess it, whatever system is to learn from it.

    Args:
        case: to be read.
        config: of the run.
        cache: where the case is taken from if it is there, and kept if not.

    Raises:
        InputError: the case cannot be read, or has no lesion.
    """
    if cache is None:
        return prepare(case.read(config.perfusion), config.preprocess)
    return cache.read(case, config.preprocess, config.perfusion)


def label(case: Case, config: TrainConfig) -> LabelledCase:
    """Preprocess a case for training.

    Raises:
        InputError: it has no lesion, or no DWI and the system needs it.
    """
    return _weighted(prepare(case, config.preprocess), config)


def _weighted(case: PreparedCase, config: TrainConfig) -> LabelledCase:
    """The case with its weight map, if it has what the system is trained with."""
    if case.inputs.dwi is None and system_named(config.system).needs_dwi:
        raise InputError(
            f"{case.identifier} has no DWI, which the system {config.system} is trained with: leave the case out, or "
            "choose a system without one."
        )
    weight = weight_map(case.lesion, lesion_weight=config.loss.lesion_weight, decay=config.loss.decay)
    return LabelledCase(**vars(case), weight=weight)


class Batch(NamedTuple):
    """A mini-batch of slices.

    Attributes:
        frames: I*, float32 ``(N, 6, H, W)``.
        features: F_o and F_l, float32 ``(N, 5, H, W)``.
        dwi: I_d, float32 ``(N, 1, H, W)``; None where the cases have none.
        lesion: truth, bool ``(N, H, W)``.
        weight: A, float32 ``(N, H, W)``.
    """

    frames: Tensor
    features: Tensor
    dwi: Tensor | None
    lesion: Tensor
    weight: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with a function applied to each of its tensors."""
        return Batch(*(None if tensor is None else function(tensor) for tensor in self))  # type: ignore[arg-type]


class SliceDataset:
    """All slices of the training cases, and their order.

    Args:
        cases: one or more.
    """

    def __init__(self, cases: Sequence[LabelledCase]) -> None:
        images = [case.inputs.dwi for case in cases if case.inputs.dwi is not None]
        self.slices = Batch(
            frames=_joined([case.inputs.frames for case in cases]),
            features=_joined([case.inputs.features for case in cases]),
            dwi=_joined(images) if len(images) == len(cases) else None,
            lesion=_joined([case.lesion for case in cases]),
            weight=_joined([case.weight for case in cases]),
        )

    def __len__(self) -> int:
        return len(self.slices.lesion)

    def sha256(self) -> str:
        """Digest of all that is trained on, hexadecimal: the same material gives the same digest."""
        digest = hashlib.sha256()
        for tensor in self.slices:
            if tensor is not None:
                digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()

    def order(self, batch_size: int, *, seed: int, epoch: int) -> Tensor:
        """Numbers of the slices of each mini-batch of an epoch, ``(steps, size)``; a function of the arguments alone.

        An incomplete last batch is dropped, as statistics over a single slice are not those that SLNet meets
        elsewhere; a data set smaller than one batch makes one batch of all.
        """
        size, steps = min(batch_size, len(self)), self.steps(batch_size)
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(self)))
        return order[: steps * size].view(steps, size)

    def batches(self, batch_size: int, *, seed: int, epoch: int) -> Iterator[Batch]:
        """The mini-batches of an epoch one after the other, as they are; the reference for the loader."""
        for chosen in self.order(batch_size, seed=seed, epoch=epoch):
            yield self.slices.map(partial(torch.index_select, dim=0, index=chosen))

    def steps(self, batch_size: int) -> int:
        """Number of mini-batches of an epoch."""
        return max(len(self) // batch_size, 1)


def _joined(arrays: Sequence[NDArray[np.float32] | BoolArray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))
